//! The optimizer's state in files: all of it, or what processes have brought together.

use std::path::Path;

use super::{Trainer, Training, not_for_training};
use crate::backend::Backend;
use crate::checkpoint;
use crate::error::Result;
use crate::machine::memory::zeros;
use crate::optim::slots::Slot;

impl<B: Backend> Trainer<B> {
    pub(super) fn collect_state(&mut self) -> Result<()> {
        let Self { backend, layout, training, .. } = self;
        let Training { divided, slots, .. } = training.as_mut().ok_or_else(not_for_training)?;
        divided.as_mut().map_or(Ok(()), |divided| divided.collect_slots(backend, layout, slots))
    }

    pub(super) fn save_state(&mut self, path: &Path) -> Result<()> {
        let training = self.training.as_mut().ok_or_else(not_for_training)?;
        if let Some(divided) = training.divided.as_mut()
            && let Some(collected) = divided.take_collected(&training.slots)?
        {
            return checkpoint::save_slots(path, &self.layout, &collected);
        }
        let mut host = Vec::new();
        for Slot { layout, values } in &training.slots {
            let mut copy = zeros(layout.len())?;
            self.backend.read(values, 0, &mut copy);
            host.push(Slot { layout: layout.clone(), values: copy });
        }
        self.backend.check()?;
        checkpoint::save_slots(path, &self.layout, &host)
    }

    pub(super) fn load_state(&mut self, path: &Path) -> Result<()> {
        let training = self.training.as_mut().ok_or_else(not_for_training)?;
        let mut host = Vec::new();
        for Slot { layout, .. } in &training.slots {
            host.push(Slot { layout: layout.clone(), values: zeros(layout.len())? });
        }
        checkpoint::load_slots(path, &self.layout, &mut host)?;
        for (slot, host) in training.slots.iter_mut().zip(host) {
            let all = 0..host.values.len();
            let window = training.divided.as_ref().map_or(all, |divided| divided.window(&slot.layout, &self.layout));
            self.backend.write(&mut slot.values, 0, &host.values[window]);
        }
        self.backend.check()
    }
}
