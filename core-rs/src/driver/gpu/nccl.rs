//! NCCL's library, found at run time. Its handles belong to the GPU that was current when they were made.

use std::ffi::{CStr, c_char, c_int};
use std::ptr::null_mut;

use cudarc::nccl::sys::{self, ncclDataType_t, ncclResult_t};

use super::Gpu;
use crate::driver::nccl::{Calls, ID_BYTES, UniqueId};
use crate::driver::{Lane, Tensor, libraries};
use crate::error::{Code, Error, Result};

/// What NCCL_CONFIG_INITIALIZER has: how a configuration is known, the version whose fields it has, and what stands for
/// "as NCCL decides".
const MAGIC: u32 = 0xcafe_beef;
const VERSION: u32 = 22_203;
const UNDEFINED: c_int = c_int::MIN;
/// What it moves: it adds nothing.
const BYTES: ncclDataType_t = ncclDataType_t::ncclUint8;

/// One process among those whose GPUs have joined.
pub struct Communicator(sys::ncclComm_t);

// SAFETY: one thread at a time calls NCCL with it.
unsafe impl Send for Communicator {}

impl Drop for Communicator {
    fn drop(&mut self) {
        // SAFETY: made once and given up once. Nothing is under way but after a failure, and then nobody may wait for it.
        unsafe { sys::ncclCommAbort(self.0) };
    }
}

/// What a call has come to, if it is nothing that goes on by itself.
fn check(call: &str, result: ncclResult_t) -> Result<bool> {
    match result {
        ncclResult_t::ncclSuccess => Ok(true),
        ncclResult_t::ncclInProgress => Ok(false),
        other => {
            // SAFETY: both return texts that live as long as the library; the second is of the last failure of this process.
            let (what, why) =
                unsafe { (text(sys::ncclGetErrorString(other)), text(sys::ncclGetLastError(null_mut()))) };
            let message = format!("NCCL: {call}: {what}{}{why}", if why.is_empty() { "" } else { ": " });
            Err(Error::new(Code::Io, message).with_hint("NCCL_DEBUG=INFO in the environment tells more"))
        }
    }
}

fn text(from: *const c_char) -> String {
    // SAFETY: null, or a text of NCCL's.
    if from.is_null() { String::new() } else { unsafe { CStr::from_ptr(from) }.to_string_lossy().trim().into() }
}

impl Gpu {
    fn nccl(&self, call: &str, result: impl FnOnce() -> ncclResult_t) -> Result<()> {
        self.call(call, || Ok(()))?; // makes the context current
        check(call, result()).map(|_| ())
    }
}

impl Calls for Gpu {
    type Communicator = Communicator;

    fn nccl_version(&self) -> Result<String> {
        let found = libraries::find_nccl(&self.folders);
        match found.path {
            Some(_) => Ok(found.version.unwrap_or_else(|| "of unknown version".into())),
            None => Err(Error::new(Code::Unsupported, "NCCL, by which GPUs share updates, was not found")
                .with_hint(format!("install {}", found.install))),
        }
    }

    fn unique_id(&self) -> Result<UniqueId> {
        let mut id = sys::ncclUniqueId { internal: [0; ID_BYTES] };
        // SAFETY: the library is there, and writes one id.
        self.nccl("ncclGetUniqueId", || unsafe { sys::ncclGetUniqueId(&mut id) })?;
        Ok(id.internal.map(|byte| byte as u8))
    }

    fn join(&self, id: &UniqueId, rank: usize, size: usize) -> Result<Communicator> {
        let mut config = sys::ncclConfig_t {
            size: size_of::<sys::ncclConfig_t>(),
            magic: MAGIC,
            version: VERSION,
            blocking: 0,
            cgaClusterSize: UNDEFINED,
            minCTAs: UNDEFINED,
            maxCTAs: UNDEFINED,
            netName: null_mut(),
            splitShare: UNDEFINED,
        };
        let (id, mut handle) = (sys::ncclUniqueId { internal: id.map(|byte| byte as c_char) }, null_mut());
        // SAFETY: the library copies id and configuration, and writes one handle.
        self.nccl("ncclCommInitRankConfig", || unsafe {
            sys::ncclCommInitRankConfig(&mut handle, size as c_int, id, rank as c_int, &mut config)
        })?;
        Ok(Communicator(handle))
    }

    fn begin_group(&self) -> Result<()> {
        // SAFETY: the library is there, here and below.
        self.nccl("ncclGroupStart", || unsafe { sys::ncclGroupStart() })
    }

    fn end_group(&self) -> Result<()> {
        // SAFETY: as above.
        self.nccl("ncclGroupEnd", || unsafe { sys::ncclGroupEnd() })
    }

    fn send(&self, with: &Communicator, from: Tensor, to: usize, lane: Lane) -> Result<()> {
        // SAFETY: the tensor's memory lives until it was sent, which is waited for, here and below.
        self.nccl("ncclSend", || unsafe {
            let stream = self.stream(lane).cast();
            sys::ncclSend(from.address as *const _, from.bytes(), BYTES, to as c_int, with.0, stream)
        })
    }

    fn receive(&self, with: &Communicator, to: Tensor, from: usize, lane: Lane) -> Result<()> {
        // SAFETY: as above.
        self.nccl("ncclRecv", || unsafe {
            let stream = self.stream(lane).cast();
            sys::ncclRecv(to.address as *mut _, to.bytes(), BYTES, from as c_int, with.0, stream)
        })
    }

    fn all_gather(&self, with: &Communicator, from: Tensor, to: Tensor, lane: Lane) -> Result<()> {
        // SAFETY: as above.
        self.nccl("ncclAllGather", || unsafe {
            let stream = self.stream(lane).cast();
            sys::ncclAllGather(from.address as *const _, to.address as *mut _, from.bytes(), BYTES, with.0, stream)
        })
    }

    fn is_ready(&self, with: &Communicator) -> Result<bool> {
        let mut state = ncclResult_t::ncclSuccess;
        // SAFETY: as above; it writes one state.
        self.nccl("ncclCommGetAsyncError", || unsafe { sys::ncclCommGetAsyncError(with.0, &mut state) })?;
        check("the GPUs of the processes", state)
    }

    fn abort(&self, with: Communicator) {
        let _ = self.call("NCCL", || Ok(()));
        drop(with);
    }
}
