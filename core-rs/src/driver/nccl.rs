//! What is called of NCCL, by which the GPUs of several processes send to each other. A method of [`Calls`] is one of its calls;
//! [`crate::collective::nccl`] makes exchanges of them. [`super::gpu`] calls the library, the tests' simulator one of its own
//! that refuses what NCCL refuses.

use super::{Lane, Tensor};
use crate::error::Result;

/// Bytes by which processes that join know each other (ncclUniqueId).
pub const ID_BYTES: usize = 128;

/// Those bytes.
pub type UniqueId = [u8; ID_BYTES];

/// NCCL's calls, on communicators that do not block: a call returns before it is done, and [`Calls::is_ready`] says when it is.
/// Nothing else may be asked of a communicator until then.
pub trait Calls {
    /// One process among those that joined. Dropped, it is given up as [`Calls::abort`] does.
    type Communicator: Send;

    /// The library's version, such as `2.27.5`.
    ///
    /// # Errors
    /// `Unsupported` if there is none, with what to install.
    fn nccl_version(&self) -> Result<String>;

    /// A new id, for one process to make and to send to all.
    ///
    /// # Errors
    /// What NCCL says, as everywhere below.
    fn unique_id(&self) -> Result<UniqueId>;

    /// Begins to join the others as number `rank` of `size`.
    fn join(&self, id: &UniqueId, rank: usize, size: usize) -> Result<Self::Communicator>;

    /// What is sent and received up to [`Calls::end_group`] is one call: no order of it can wait for another.
    fn begin_group(&self) -> Result<()>;

    /// Ends that.
    fn end_group(&self) -> Result<()>;

    /// Sends to a process, which has to receive as much, in a group.
    fn send(&self, with: &Self::Communicator, from: Tensor, to: usize, lane: Lane) -> Result<()>;

    /// Receives from a process, in a group.
    fn receive(&self, with: &Self::Communicator, to: Tensor, from: usize, lane: Lane) -> Result<()>;

    /// Puts what all have in `from`, as much each, behind one another in `to`. `from` may be the place there that is its own.
    fn all_gather(&self, with: &Self::Communicator, from: Tensor, to: Tensor, lane: Lane) -> Result<()>;

    /// Whether all calls so far were taken over. Says, too, what has failed since, here or at another process.
    fn is_ready(&self, with: &Self::Communicator) -> Result<bool>;

    /// Ends what is under way, and gives the communicator up.
    fn abort(&self, with: Self::Communicator);
}
