//! What an engine starts with: weights, and room for the optimizer's state.

use super::divided::Divided;
use crate::backend::Backend;
use crate::blueprint::ParameterLayout;
use crate::checkpoint;
use crate::engine::{EngineOptions, Loaded, Weights};
use crate::error::Result;
use crate::machine::memory::Buffer;
use crate::optim::Optimizer;
use crate::optim::slots::{Slot, SlotLayout};

/// Room for the state of an optimizer, or for this process's share of it.
pub(super) fn reserve_slots<B: Backend>(
    backend: &B,
    optimizer: &Optimizer,
    layout: &ParameterLayout,
    divided: Option<&Divided<B>>,
) -> Result<Vec<Slot<B::Buffer>>> {
    let room = |slot: &SlotLayout| divided.map_or(slot.len(), |divided| divided.window(slot, layout).len());
    let slots = SlotLayout::all(optimizer, layout).into_iter();
    slots.map(|layout| Ok(Slot { values: backend.zeroed(room(&layout))?, layout })).collect()
}

/// The weights that an engine starts with.
pub(super) enum Start {
    /// Where they lie in a file.
    InFile(Buffer, Loaded),
    /// Still zeros.
    Reserved(Buffer),
}

/// Room for the weights. What is never trained is used where it lies in the file, if it can be.
pub(super) fn reserve_weights(
    options: &EngineOptions,
    layout: &ParameterLayout,
    file: Option<&Weights>,
) -> Result<Start> {
    if let (Some(file), false) = (file, options.training())
        && let Some((mapped, loaded)) = checkpoint::map_weights(&file.path, layout)?
    {
        return Ok(Start::InFile(mapped, loaded));
    }
    Ok(Start::Reserved(Buffer::zeroed(layout.len())?))
}

impl Start {
    /// Weights of a file, or fresh ones, and what came of the file.
    pub(super) fn fill(
        self,
        options: &EngineOptions,
        layout: &ParameterLayout,
        file: Option<&Weights>,
    ) -> Result<(Buffer, Loaded)> {
        match self {
            Self::InFile(weights, loaded) => Ok((weights, loaded)),
            Self::Reserved(mut weights) => {
                let loaded = checkpoint::start_weights(file, options, layout, &mut weights)?;
                Ok((weights, loaded))
            }
        }
    }
}
