//! Matrix products by cuBLASLt. Descriptors and algorithms are made once for each kind of product and kept, because
//! asking cuBLASLt for an algorithm takes longer than a small product.

use std::collections::HashMap;
use std::ffi::c_void;

use cudarc::cublaslt::{result, sys};
use cudarc::driver::sys::CUstream;

use super::{Dtype, Product};
use crate::error::{Code, Error, Result};

/// Scratch that algorithms may use; what NVIDIA recommends for Hopper.
const WORKSPACE: usize = 32 << 20;
/// Sizes are rounded up to this when algorithms are told apart: batches differ by a few tokens each.
const BUCKET: usize = 512;

/// What an algorithm is chosen by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    sizes: [usize; 3],
    transposed: [bool; 2],
    types: [Dtype; 2],
    alignments: [u32; 4],
    bias: bool,
    accumulate: bool,
}

/// A product that is ready to run with sizes like its key's.
struct Plan {
    operation: sys::cublasLtMatmulDesc_t,
    /// Of B, A and C: cuBLASLt is column-major, so it computes Cᵀ = Bᵀ Aᵀ.
    layouts: [sys::cublasLtMatrixLayout_t; 3],
    algorithm: sys::cublasLtMatmulAlgo_t,
    /// The sizes that the algorithm is known to take.
    sizes: [usize; 3],
}

/// cuBLASLt on one stream.
pub struct Blas {
    handle: sys::cublasLtHandle_t,
    preference: sys::cublasLtMatmulPreference_t,
    workspace: u64,
    plans: HashMap<Key, Plan>,
}

// SAFETY: the handles are used by one thread at a time, and cuBLASLt ties them to none.
unsafe impl Send for Blas {}

fn failed(what: &str, error: result::CublasError) -> Error {
    Error::new(Code::Unsupported, format!("cuBLASLt: {what}: {error:?}"))
}

fn data_type(dtype: Dtype) -> sys::cudaDataType {
    match dtype {
        Dtype::Bf16 => sys::cudaDataType::CUDA_R_16BF,
        _ => sys::cudaDataType::CUDA_R_32F,
    }
}

/// The largest power of two, up to 256, that an address is a multiple of.
fn alignment(address: u64) -> u32 {
    1 << address.trailing_zeros().min(8)
}

/// Rows, columns and leading dimension of the column-major matrices that B, A and C are to cuBLASLt.
fn shapes(product: &Product) -> [[u64; 3]; 3] {
    let [m, n, k] = [product.m, product.n, product.k].map(|x| x as u64);
    // A row-major [r, c] is a column-major [c, r] with leading dimension c.
    let matrix = |rows, columns| [columns, rows, columns];
    [
        if product.b.transposed { matrix(n, k) } else { matrix(k, n) },
        if product.a.transposed { matrix(k, m) } else { matrix(m, k) },
        matrix(m, n),
    ]
}

impl Blas {
    /// Bytes of device memory that [`Blas::new`] has to be given.
    pub const WORKSPACE: usize = WORKSPACE;

    /// With [`Blas::WORKSPACE`] bytes of device memory at `workspace`. A context is current.
    ///
    /// # Errors
    /// `Unsupported` if cuBLASLt does not start.
    pub fn new(workspace: u64) -> Result<Self> {
        let handle = result::create_handle().map_err(|e| failed("it does not start", e))?;
        let preference = result::create_matmul_pref().map_err(|e| failed("no preference", e))?;
        let blas = Self { handle, preference, workspace, plans: HashMap::new() };
        blas.prefer(sys::cublasLtMatmulPreferenceAttributes_t::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &WORKSPACE)?;
        // Sums that depend on the order in which blocks finish would differ from run to run.
        let schemes = sys::cublasLtReductionScheme_t::CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE as u32
            | sys::cublasLtReductionScheme_t::CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE as u32;
        blas.prefer(sys::cublasLtMatmulPreferenceAttributes_t::CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &schemes)?;
        Ok(blas)
    }

    fn prefer<T>(&self, attribute: sys::cublasLtMatmulPreferenceAttributes_t, value: &T) -> Result<()> {
        let value = std::ptr::from_ref(value).cast::<c_void>();
        // SAFETY: the preference lives as long as `self`, and the value has the size that goes with it.
        unsafe { result::set_matmul_pref_attribute(self.preference, attribute, value, size_of::<T>()) }
            .map_err(|e| failed("a preference", e))
    }

    /// Puts the product on the stream.
    ///
    /// # Errors
    /// `Unsupported` if there is no algorithm for it, or if it cannot be started.
    pub fn multiply(&mut self, stream: CUstream, product: &Product) -> Result<()> {
        product.check();
        let sizes = [product.m, product.n, product.k];
        let operands = [product.b.elements.address, product.a.elements.address, product.c.address];
        let key = Key {
            sizes: sizes.map(|size| size.next_multiple_of(BUCKET)),
            transposed: [product.a.transposed, product.b.transposed],
            types: [product.a.elements.dtype, product.c.dtype],
            alignments: [
                alignment(operands[0]),
                alignment(operands[1]),
                alignment(operands[2]),
                product.bias.map_or(0, |bias| alignment(bias.address)),
            ],
            bias: product.bias.is_some(),
            accumulate: product.accumulate,
        };
        if !self.plans.contains_key(&key) {
            let plan = self.plan(product)?;
            self.plans.insert(key, plan);
        }
        let plan = self.plans.get_mut(&key).expect("just made");
        if let Some(bias) = product.bias {
            set(plan.operation, sys::cublasLtMatmulDescAttributes_t::CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias.address)?;
        }
        if plan.sizes != sizes {
            for (layout, shape) in plan.layouts.into_iter().zip(shapes(product)) {
                resize(layout, shape)?;
            }
            plan.algorithm = choose(self.handle, self.preference, plan.operation, plan.layouts, &key.alignments)?;
            plan.sizes = sizes;
        }
        let (one, beta) = (1f32, if product.accumulate { 1f32 } else { 0f32 });
        let [b, a, c] = operands.map(|address| address as *mut c_void);
        // SAFETY: the operands are as large as the layouts say (`Product::check`), and everything lives until the stream
        // has run, because memory is freed only after waiting for it.
        unsafe {
            result::matmul(
                self.handle,
                plan.operation,
                std::ptr::from_ref(&one).cast(),
                std::ptr::from_ref(&beta).cast(),
                b,
                plan.layouts[0],
                a,
                plan.layouts[1],
                c,
                plan.layouts[2],
                c,
                plan.layouts[2],
                &plan.algorithm,
                self.workspace as *mut c_void,
                WORKSPACE,
                stream.cast(),
            )
        }
        .map_err(|e| failed(&format!("the product {sizes:?}"), e))
    }

    fn plan(&self, product: &Product) -> Result<Plan> {
        use sys::cublasLtMatmulDescAttributes_t as Attribute;
        // f32 products are there to be compared with the CPU's: no TF32.
        let compute = sys::cublasComputeType_t::CUBLAS_COMPUTE_32F;
        let operation = result::create_matmul_desc(compute, sys::cudaDataType::CUDA_R_32F)
            .map_err(|e| failed("no descriptor", e))?;
        // cublasOperation_t: CUBLAS_OP_N and CUBLAS_OP_T.
        let operation_of = i32::from;
        set(operation, Attribute::CUBLASLT_MATMUL_DESC_TRANSA, &operation_of(product.b.transposed))?;
        set(operation, Attribute::CUBLASLT_MATMUL_DESC_TRANSB, &operation_of(product.a.transposed))?;
        if let Some(bias) = product.bias {
            let epilogue = sys::cublasLtEpilogue_t::CUBLASLT_EPILOGUE_BIAS;
            set(operation, Attribute::CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue)?;
            set(operation, Attribute::CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias.address)?;
        }
        let types = [product.b.elements.dtype, product.a.elements.dtype, product.c.dtype];
        let shapes = shapes(product);
        let layout = |i: usize| {
            let [rows, columns, leading] = shapes[i];
            result::create_matrix_layout(data_type(types[i]), rows, columns, leading as i64)
                .map_err(|e| failed("no layout", e))
        };
        let layouts = [layout(0)?, layout(1)?, layout(2)?];
        let addresses = [product.b.elements.address, product.a.elements.address, product.c.address, 0];
        let algorithm = choose(self.handle, self.preference, operation, layouts, &addresses.map(alignment))?;
        Ok(Plan { operation, layouts, algorithm, sizes: [product.m, product.n, product.k] })
    }
}

fn set<T>(
    operation: sys::cublasLtMatmulDesc_t,
    attribute: sys::cublasLtMatmulDescAttributes_t,
    value: &T,
) -> Result<()> {
    let value = std::ptr::from_ref(value).cast::<c_void>();
    // SAFETY: the descriptor is never destroyed before its plan, and the value has the size that goes with it.
    unsafe { result::set_matmul_desc_attribute(operation, attribute, value, size_of::<T>()) }
        .map_err(|e| failed("an attribute", e))
}

fn resize(layout: sys::cublasLtMatrixLayout_t, [rows, columns, leading]: [u64; 3]) -> Result<()> {
    use sys::cublasLtMatrixLayoutAttribute_t as Attribute;
    for (attribute, value) in [
        (Attribute::CUBLASLT_MATRIX_LAYOUT_ROWS, rows),
        (Attribute::CUBLASLT_MATRIX_LAYOUT_COLS, columns),
        (Attribute::CUBLASLT_MATRIX_LAYOUT_LD, leading),
    ] {
        // SAFETY: the layout belongs to a plan; all three attributes are 64-bit integers.
        unsafe { result::set_matrix_layout_attribute(layout, attribute, std::ptr::from_ref(&value).cast(), 8) }
            .map_err(|e| failed("a layout", e))?;
    }
    Ok(())
}

/// The algorithm that cuBLASLt's heuristic puts first.
fn choose(
    handle: sys::cublasLtHandle_t,
    preference: sys::cublasLtMatmulPreference_t,
    operation: sys::cublasLtMatmulDesc_t,
    layouts: [sys::cublasLtMatrixLayout_t; 3],
    alignments: &[u32; 4],
) -> Result<sys::cublasLtMatmulAlgo_t> {
    use sys::cublasLtMatmulPreferenceAttributes_t as Attribute;
    for (attribute, value) in [
        (Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignments[0]),
        (Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignments[1]),
        (Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignments[2]),
        (Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignments[2]),
    ] {
        // SAFETY: the preference belongs to the caller; these attributes are 32-bit integers.
        unsafe { result::set_matmul_pref_attribute(preference, attribute, std::ptr::from_ref(&value).cast(), 4) }
            .map_err(|e| failed("an alignment", e))?;
    }
    let [b, a, c] = layouts;
    // SAFETY: all descriptors are alive.
    unsafe { result::get_matmul_algo_heuristic(handle, operation, b, a, c, c, preference) }
        .map(|found| found.algo)
        .map_err(|e| failed("it has no algorithm for a product", e))
}

impl Drop for Blas {
    fn drop(&mut self) {
        // SAFETY: all of these were made by this value and are destroyed once.
        unsafe {
            for plan in self.plans.values() {
                let _ = result::destroy_matmul_desc(plan.operation);
                for layout in plan.layouts {
                    let _ = result::destroy_matrix_layout(layout);
                }
            }
            let _ = result::destroy_matmul_pref(self.preference);
            let _ = result::destroy_handle(self.handle);
        }
    }
}
