//! What the CUDA engine stands on: a small [`Device`] that runs kernels and matrix products, and tensors on it. [`gpu`]
//! implements it over the NVIDIA driver; the tests implement it by a simulator, so that everything above this line runs
//! on machines without a GPU. Knows no operation and no model.

pub mod blas;
pub mod gpu;
pub mod libraries;
pub mod nvrtc;

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

impl From<crate::dtype::Dtype> for Dtype {
    fn from(dtype: crate::dtype::Dtype) -> Self {
        match dtype {
            crate::dtype::Dtype::F32 => Self::F32,
            crate::dtype::Dtype::Bf16 => Self::Bf16,
        }
    }
}

/// Elements somewhere on a device: a view that owns nothing, like a slice without a lifetime.
#[derive(Clone, Copy, Debug)]
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
#[derive(Clone, Copy, Debug)]
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
#[derive(Clone, Copy, Debug)]
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
#[derive(Clone, Copy, Debug)]
pub struct Matrix {
    /// The elements, rows one behind the other.
    pub elements: Tensor,
    /// Whether the product takes it transposed.
    pub transposed: bool,
}

/// `C[m, n] = A[m, k] · B[k, n]`, `+ bias[n]` or `+ C`.
#[derive(Clone, Copy, Debug)]
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
    /// Added to each row; of C's type, as cuBLASLt has it.
    pub bias: Option<Tensor>,
    /// Whether the product is added to C.
    pub accumulate: bool,
}

impl Product {
    /// Checks that the operands are as large as the sizes say.
    ///
    /// # Panics
    /// If they are not.
    pub fn check(&self) {
        assert!(self.a.elements.len >= self.m * self.k, "A is smaller than {} x {}", self.m, self.k);
        assert!(self.b.elements.len >= self.k * self.n, "B is smaller than {} x {}", self.k, self.n);
        assert!(self.c.len >= self.m * self.n, "C is smaller than {} x {}", self.m, self.n);
        assert!(self.bias.is_none_or(|b| b.len >= self.n && b.dtype == self.c.dtype), "the bias is not of C's type");
        assert_eq!(self.a.elements.dtype, self.b.elements.dtype, "A and B are of different types");
    }
}

/// A device on which work runs in the order of the calls, but possibly later than they return.
///
/// Work that fails makes all later work fail too; [`Device::check`] says why. So an operation needs no result of its own.
pub trait Device: Send {
    /// Owned memory; freed when it is dropped.
    type Memory: Send + Debug;

    /// The device, for reports.
    fn name(&self) -> String;

    /// What activations are: `F32` or `Bf16`. The program's kernels are compiled for it.
    fn activations(&self) -> Dtype;

    /// Zeroed memory.
    ///
    /// # Errors
    /// `OutOfMemory`.
    fn allocate(&self, bytes: usize) -> Result<Self::Memory>;

    /// Where memory begins.
    fn address(memory: &Self::Memory) -> u64;

    /// Copies to the device. `from` may change once this returns.
    fn upload(&self, to: Tensor, from: &[u8]);

    /// Waits for all work and copies from the device.
    fn download(&self, from: Tensor, to: &mut [u8]);

    /// `x = 0`
    fn clear(&self, x: Tensor);

    /// Runs a kernel of [`PROGRAM`]. Like an operation on the CPU, an operation is trusted to give it what its source names.
    fn launch(&self, launch: &Launch, arguments: &[Argument]);

    /// Multiplies matrices.
    fn multiply(&self, product: &Product);

    /// Whether everything so far succeeded, as far as is known without waiting for it.
    ///
    /// # Errors
    /// What failed first.
    fn check(&self) -> Result<()>;
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
impl Number for u64 {}

/// The parts of the one program that holds all kernels, in the order in which they are compiled: file and text.
pub const PROGRAM: &[(&str, &str)] = &[
    ("cuda/prelude.cuh", include_str!("prelude.cuh")),
    ("ops/dropout/kernel.cu", include_str!("../ops/dropout/kernel.cu")),
    ("ops/tanh/kernel.cu", include_str!("../ops/tanh/kernel.cu")),
    ("ops/layer_norm/kernel.cu", include_str!("../ops/layer_norm/kernel.cu")),
    ("ops/embeddings/kernel.cu", include_str!("../ops/embeddings/kernel.cu")),
    ("ops/linear/kernel.cu", include_str!("../ops/linear/kernel.cu")),
    ("ops/attention/kernel.cu", include_str!("../ops/attention/kernel.cu")),
    ("ops/cross_entropy/kernel.cu", include_str!("../ops/cross_entropy/kernel.cu")),
    ("optim/kernel.cu", include_str!("../optim/kernel.cu")),
];

/// The text of [`PROGRAM`], so that a compiler's messages name the files.
pub fn program_text() -> String {
    PROGRAM.iter().map(|(file, text)| format!("#line 1 \"{file}\"\n{text}\n")).collect()
}
