//! Matrix products by cuBLASLt. Descriptors are made once for each kind of product and kept; which algorithm runs is
//! chosen by [`super::products`].

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::c_void;
use std::mem::MaybeUninit;

use cudarc::cublaslt::{result, sys};
use cudarc::driver::sys::CUstream;

use super::matmul::{Matmul, Operand, WORKSPACE};
use super::products::Key;
use super::{Algorithm, Dtype, Product};
use crate::error::{Code, Error, Result};

/// Algorithms that are asked for.
const MOST_ALGORITHMS: usize = 32;

/// A product's descriptors.
struct Plan {
    operation: sys::cublasLtMatmulDesc_t,
    /// Of A, B and D.
    layouts: [sys::cublasLtMatrixLayout_t; 3],
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

    /// Algorithms for a product, in the order of cuBLASLt's heuristic; none if it has none.
    ///
    /// # Errors
    /// `Unsupported` if it does not answer.
    pub fn algorithms(&mut self, product: &Product) -> Result<Vec<Algorithm>> {
        use sys::cublasLtMatmulPreferenceAttributes_t as Attribute;
        let [a, b, d, _] = Matmul::of(product).alignments();
        for (attribute, value) in [
            (Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, a),
            (Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, b),
            (Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, d),
            (Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, d),
        ] {
            self.prefer(attribute, &value)?;
        }
        let (handle, preference) = (self.handle, self.preference);
        let Plan { operation, layouts: [a, b, d] } = self.plan(product)?;
        let mut found = [MaybeUninit::<sys::cublasLtMatmulHeuristicResult_t>::uninit(); MOST_ALGORITHMS];
        let mut count = 0;
        // SAFETY: all descriptors are alive, and there is room for as many results as are asked for.
        let status = unsafe {
            sys::cublasLtMatmulAlgoGetHeuristic(
                handle,
                *operation,
                *a,
                *b,
                *d,
                *d,
                preference,
                MOST_ALGORITHMS as i32,
                found.as_mut_ptr().cast(),
                &mut count,
            )
        };
        match status {
            sys::cublasStatus_t::CUBLAS_STATUS_NOT_SUPPORTED => return Ok(Vec::new()),
            other => other.result().map_err(|e| {
                let sizes = [product.m, product.n, product.k];
                failed(&format!("algorithms for the product {sizes:?}"), e)
            })?,
        }
        // SAFETY: so many were written.
        let found = found[..count.max(0) as usize].iter().map(|found| unsafe { found.assume_init() });
        let usable = found.filter(|found| found.state == sys::cublasStatus_t::CUBLAS_STATUS_SUCCESS);
        Ok(usable.map(|found| found.algo.data).collect())
    }

    /// Whether an algorithm can be used for a product here, with the workspace that there is.
    pub fn runs(&mut self, product: &Product, algorithm: &Algorithm) -> bool {
        let handle = self.handle;
        let Ok(Plan { operation, layouts: [a, b, d] }) = self.plan(product) else { return false };
        let algorithm = sys::cublasLtMatmulAlgo_t { data: *algorithm };
        let mut result = MaybeUninit::<sys::cublasLtMatmulHeuristicResult_t>::zeroed();
        // SAFETY: all descriptors are alive; the result is plain numbers, for which zeros are values.
        let (status, result) = unsafe {
            let place = result.as_mut_ptr();
            let status = sys::cublasLtMatmulAlgoCheck(handle, *operation, *a, *b, *d, *d, &algorithm, place);
            (status, result.assume_init())
        };
        status == sys::cublasStatus_t::CUBLAS_STATUS_SUCCESS && result.workspaceSize <= WORKSPACE
    }

    /// Puts the product on the stream.
    ///
    /// # Errors
    /// `Unsupported` if it cannot be started.
    pub fn multiply(&mut self, stream: CUstream, product: &Product, algorithm: &Algorithm) -> Result<()> {
        let sizes = [product.m, product.n, product.k];
        let matmul = Matmul::of(product);
        let (handle, workspace) = (self.handle, self.workspace);
        let plan = self.plan(product)?;
        if let Some(bias) = matmul.bias {
            set(plan.operation, sys::cublasLtMatmulDescAttributes_t::CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias.address)?;
        }
        let algorithm = sys::cublasLtMatmulAlgo_t { data: *algorithm };
        let one = 1f32;
        let [a, b, d] = [matmul.a, matmul.b, matmul.d].map(|operand| operand.address as *mut c_void);
        // SAFETY: the operands are as large as the layouts say (`Product::check`), and everything lives until the stream
        // has run, because memory is freed only after waiting for it.
        unsafe {
            result::matmul(
                handle,
                plan.operation,
                std::ptr::from_ref(&one).cast(),
                std::ptr::from_ref(&matmul.beta).cast(),
                a,
                plan.layouts[0],
                b,
                plan.layouts[1],
                d,
                plan.layouts[2],
                d,
                plan.layouts[2],
                &algorithm,
                workspace as *mut c_void,
                WORKSPACE,
                stream.cast(),
            )
        }
        .map_err(|e| failed(&format!("the product {sizes:?}"), e))
    }

    /// The descriptors of a product, made when it is seen first.
    fn plan(&mut self, product: &Product) -> Result<&Plan> {
        Ok(match self.plans.entry(Key::of(product)) {
            Entry::Occupied(plan) => plan.into_mut(),
            Entry::Vacant(place) => place.insert(Self::describe(&Matmul::of(product))?),
        })
    }

    fn describe(matmul: &Matmul) -> Result<Plan> {
        use sys::cublasLtMatmulDescAttributes_t as Attribute;
        // f32 products are there to be compared with the CPU's: no TF32.
        let compute = sys::cublasComputeType_t::CUBLAS_COMPUTE_32F;
        let operation = result::create_matmul_desc(compute, sys::cudaDataType::CUDA_R_32F)
            .map_err(|e| failed("no descriptor", e))?;
        // cublasOperation_t: CUBLAS_OP_N and CUBLAS_OP_T.
        let operation_of = i32::from;
        set(operation, Attribute::CUBLASLT_MATMUL_DESC_TRANSA, &operation_of(matmul.a.transposed))?;
        set(operation, Attribute::CUBLASLT_MATMUL_DESC_TRANSB, &operation_of(matmul.b.transposed))?;
        if let Some(bias) = matmul.bias {
            let epilogue = sys::cublasLtEpilogue_t::CUBLASLT_EPILOGUE_BIAS;
            set(operation, Attribute::CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue)?;
            set(operation, Attribute::CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias.address)?;
            set(operation, Attribute::CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &data_type(bias.dtype))?;
        }
        let layout = |operand: Operand| {
            let (rows, columns) = (operand.rows as u64, operand.columns as u64);
            result::create_matrix_layout(data_type(operand.dtype), rows, columns, operand.leading as i64)
                .map_err(|e| failed("no layout", e))
        };
        let layouts = [layout(matmul.a)?, layout(matmul.b)?, layout(matmul.d)?];
        Ok(Plan { operation, layouts })
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
