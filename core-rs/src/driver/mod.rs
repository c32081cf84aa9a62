//! What the CUDA engine stands on: a thin [`Device`] with the calls of the NVIDIA driver that it needs, and tensors on
//! it. [`gpu`] implements it; the tests implement it by a simulator, so that everything above this line runs on machines
//! without a GPU. Operations put their work on a [`queue::Queue`]. Knows no operation and no model.

pub mod blas;
pub mod counting;
pub mod gpu;
pub mod libraries;
pub mod matmul;
pub mod nccl;
pub mod nvrtc;
pub mod products;
pub mod queue;
pub mod work;

use std::fmt::Debug;

use crate::error::Result;

/// How elements lie on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// IEEE 754 single precision.
    F32,
    /// bfloat16: the upper half of a single.
    Bf16,
    /// 32-bit integers.
    I32,
    /// 64-bit numbers: `u64` or `f64`, as the kernel takes them.
    Wide,
}

impl Dtype {
    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            Dtype::Bf16 => 2,
            Dtype::F32 | Dtype::I32 => 4,
            Dtype::Wide => 8,
        }
    }
}

impl From<crate::machine::dtype::Dtype> for Dtype {
    fn from(dtype: crate::machine::dtype::Dtype) -> Self {
        match dtype {
            crate::machine::dtype::Dtype::F32 => Self::F32,
            crate::machine::dtype::Dtype::Bf16 => Self::Bf16,
        }
    }
}

/// Elements somewhere on a device: a view that owns nothing, like a slice without a lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Device address of the first element.
    pub address: u64,
    /// Number of elements.
    pub len: usize,
    /// Their type.
    pub dtype: Dtype,
}

impl Tensor {
    /// `len` elements from `first` on.
    ///
    /// # Panics
    /// If they are not inside: a mistake in the caller, on a device as on a slice.
    #[track_caller]
    pub fn part(self, first: usize, len: usize) -> Self {
        assert!(first + len <= self.len, "elements {first}..{} of a tensor of {}", first + len, self.len);
        Self { address: self.address + (first * self.dtype.size()) as u64, len, dtype: self.dtype }
    }

    /// The first `len` elements, which have to be of type `dtype`.
    ///
    /// # Panics
    /// If they are not.
    #[track_caller]
    pub fn expect(self, len: usize, dtype: Dtype) -> Self {
        assert_eq!(self.dtype, dtype, "a tensor of another type");
        self.part(0, len)
    }

    /// Bytes.
    pub fn bytes(self) -> usize {
        self.len * self.dtype.size()
    }
}

/// One argument of a kernel, as the bytes that the kernel reads: a number, an address or a small struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct Argument([u32; 8]);

impl From<i32> for Argument {
    fn from(x: i32) -> Self {
        (x as u32).into()
    }
}

impl From<u32> for Argument {
    fn from(x: u32) -> Self {
        [x].into()
    }
}

impl From<f32> for Argument {
    fn from(x: f32) -> Self {
        x.to_bits().into()
    }
}

impl From<u64> for Argument {
    fn from(x: u64) -> Self {
        [x as u32, (x >> 32) as u32].into()
    }
}

impl From<f64> for Argument {
    fn from(x: f64) -> Self {
        x.to_bits().into()
    }
}

impl<const WORDS: usize> From<[u32; WORDS]> for Argument {
    fn from(words: [u32; WORDS]) -> Self {
        let mut all = [0; 8];
        all[..WORDS].copy_from_slice(&words);
        Self(all)
    }
}

impl From<Tensor> for Argument {
    fn from(x: Tensor) -> Self {
        x.address.into()
    }
}

impl From<Option<Tensor>> for Argument {
    fn from(x: Option<Tensor>) -> Self {
        x.map_or(0, |x| x.address).into()
    }
}

/// How a kernel is launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Its name in the program.
    pub kernel: &'static str,
    /// Blocks in x and y.
    pub grid: [usize; 2],
    /// Threads of a block; whole warps.
    pub threads: usize,
    /// Bytes of dynamic shared memory.
    pub shared: usize,
}

impl Launch {
    /// `blocks` blocks in a row.
    pub fn row(kernel: &'static str, blocks: usize, threads: usize) -> Self {
        Self { kernel, grid: [blocks, 1], threads, shared: 0 }
    }

    /// Enough blocks of 256 threads for `count` threads.
    pub fn threads(kernel: &'static str, count: usize) -> Self {
        Self::row(kernel, count.div_ceil(256), 256)
    }
}

/// A row-major matrix on the device. Transposed, the rows of what is stored are its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// The elements, row after row.
    pub elements: Tensor,
    /// Whether the product takes it transposed.
    pub transposed: bool,
}

/// `C[m, n] = A[m, k] · B[k, n]`, `+ bias[n]` or `+ C`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A, rows of B.
    pub k: usize,
    /// `[m, k]`, or stored as `[k, m]`.
    pub a: Matrix,
    /// `[k, n]`, or stored as `[n, k]`. Of A's type.
    pub b: Matrix,
    /// `[m, n]`
    pub c: Tensor,
    /// Elements from one row of A, B and C, as they are stored, to the next.
    pub strides: [usize; 3],
    /// Added to each row; of C's type, as cuBLASLt has it.
    pub bias: Option<Tensor>,
    /// Whether the product is added to C.
    pub accumulate: bool,
}

impl Product {
    /// A · B of sizes `[m, n, k]` where rows lie one behind the other.
    pub fn dense([m, n, k]: [usize; 3], a: Matrix, b: Matrix, c: Tensor) -> Self {
        let strides = [if a.transposed { m } else { k }, if b.transposed { k } else { n }, n];
        Self { m, n, k, a, b, c, strides, bias: None, accumulate: false }
    }

    /// Checks that the operands are as large as the sizes say.
    ///
    /// # Panics
    /// If they are not.
    pub fn check(&self) {
        let Self { m, n, k, a, b, c, strides, .. } = *self;
        let stored = |rows, columns, transposed| if transposed { [columns, rows] } else { [rows, columns] };
        for (name, len, [rows, columns], stride) in [
            ("A", a.elements.len, stored(m, k, a.transposed), strides[0]),
            ("B", b.elements.len, stored(k, n, b.transposed), strides[1]),
            ("C", c.len, [m, n], strides[2]),
        ] {
            let last = rows.saturating_sub(1) * stride;
            assert!(stride >= columns && len >= last + columns, "{name} is smaller than {rows} rows of {columns}");
        }
        assert!(self.bias.is_none_or(|b| b.len >= self.n && b.dtype == self.c.dtype), "the bias is not of C's type");
        assert_eq!(self.a.elements.dtype, self.b.elements.dtype, "A and B are of different types");
    }
}

/// How a product is computed: what cuBLASLt keeps of an algorithm, opaque, and valid for the same version and device.
pub type Algorithm = [u64; 8];

/// The two orders in which a device works: what stands on one of them runs one after the other, what stands on
/// different ones at the same time, unless an event says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Kernels and products.
    Compute,
    /// Uploads of the next batch.
    Copy,
}

/// A device, as thin as it can be: each method is one call of the driver or of cuBLASLt, and returns before the work is
/// done unless it says that it waits. What is made of these calls is in [`queue`]; those of NCCL are in [`nccl`].
pub trait Device: nccl::Calls + Send + 'static {
    /// Owned memory on the device; freed when it is dropped, after what still uses it.
    type Memory: Send + Debug;
    /// Host memory that the device copies from by itself.
    type Pinned: Send + AsRef<[u8]> + AsMut<[u8]>;
    /// A point in a lane's work.
    type Event: Send;
    /// Captured work.
    type Graph: Send;

    /// The device, for reports.
    fn name(&self) -> String;

    /// Tells devices apart on which other algorithms are best: the model and cuBLASLt's version.
    fn kind(&self) -> String;

    /// What activations are: `F32` or `Bf16`. The program's kernels are compiled for it.
    fn activations(&self) -> Dtype;

    /// Memory, which is zeroed on the lane of kernels: whoever uses it first on the other one has to wait for that.
    ///
    /// # Errors
    /// `OutOfMemory`.
    fn allocate(&self, bytes: usize) -> Result<Self::Memory>;

    /// Where memory begins; a multiple of 256.
    fn address(memory: &Self::Memory) -> u64;

    /// Host memory.
    ///
    /// # Errors
    /// `OutOfMemory`.
    fn pinned(&self, bytes: usize) -> Result<Self::Pinned>;

    /// A point that has been passed until it is recorded.
    ///
    /// # Errors
    /// What the driver says, as everywhere below.
    fn event(&self) -> Result<Self::Event>;

    /// The point after all work of a lane so far.
    fn record(&self, event: &Self::Event, lane: Lane) -> Result<()>;

    /// Later work of a lane begins after the point.
    fn wait(&self, event: &Self::Event, lane: Lane) -> Result<()>;

    /// Waits for the point.
    fn finish(&self, event: &Self::Event) -> Result<()>;

    /// Whether the point has been passed.
    fn is_passed(&self, event: &Self::Event) -> Result<bool>;

    /// Between two points that have been passed.
    fn milliseconds(&self, from: &Self::Event, to: &Self::Event) -> Result<f32>;

    /// Copies the first `bytes` to the device. `from` must not change before the lane has come to it.
    fn copy_in(&self, to: Tensor, from: &Self::Pinned, bytes: usize, lane: Lane) -> Result<()>;

    /// Copies from one place on the device to another, on the lane of kernels.
    fn copy(&self, to: Tensor, from: Tensor) -> Result<()>;

    /// Waits for all kernels and copies from the device.
    fn copy_out(&self, from: Tensor, to: &mut [u8]) -> Result<()>;

    /// `x = 0`
    fn clear(&self, x: Tensor) -> Result<()>;

    /// Runs a kernel of the program that the device was opened with. Like an operation on the CPU, an operation is trusted to give it what its source names.
    fn launch(&self, launch: &Launch, arguments: &[Argument]) -> Result<()>;

    /// Algorithms for a product, what promises to be the fastest first. There may be none.
    fn algorithms(&self, product: &Product) -> Result<Vec<Algorithm>>;

    /// Whether an algorithm that was found elsewhere or earlier can be used here.
    fn runs(&self, product: &Product, algorithm: &Algorithm) -> bool;

    /// Multiplies matrices.
    fn multiply(&self, product: &Product, algorithm: &Algorithm) -> Result<()>;

    /// From here on, kernels, products and clearing are noted and not run.
    fn begin_capture(&self) -> Result<()>;

    /// Ends that and gives what was noted, ready to run. Called after every `begin_capture`, also if a call between them
    /// failed.
    fn end_capture(&self) -> Result<Self::Graph>;

    /// Runs captured work.
    fn replay(&self, graph: &Self::Graph) -> Result<()>;
}

/// An owned tensor.
#[derive(Debug)]
pub struct Buffer<D: Device> {
    memory: D::Memory,
    len: usize,
    dtype: Dtype,
}

impl<D: Device> Buffer<D> {
    /// `len` zeros.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn zeroed(device: &D, len: usize, dtype: Dtype) -> Result<Self> {
        Ok(Self { memory: device.allocate((len * dtype.size()).max(1))?, len, dtype })
    }

    /// All of it.
    pub fn tensor(&self) -> Tensor {
        Tensor { address: D::address(&self.memory), len: self.len, dtype: self.dtype }
    }
}

/// The bytes of numbers.
pub fn bytes_of<T: Number>(values: &[T]) -> &[u8] {
    // SAFETY: numbers have no padding, and bytes need no alignment.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// The bytes of numbers, to write.
pub fn bytes_of_mut<T: Number>(values: &mut [T]) -> &mut [u8] {
    // SAFETY: as in `bytes_of`, and any bytes make numbers.
    unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), size_of_val(values)) }
}

/// Types that are their bytes: no padding, and any bits are a value.
pub trait Number: Copy {}
impl Number for f32 {}
impl Number for f64 {}
impl Number for i32 {}
impl Number for u16 {}
impl Number for u32 {}
impl Number for u64 {}

/// What every file of kernels builds on: path and text. Kernels come from whoever opens a GPU.
pub const PRELUDE: (&str, &str) = ("driver/prelude.cuh", include_str!("prelude.cuh"));
