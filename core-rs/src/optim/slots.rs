//! Slots: the state that an optimizer keeps for each parameter, under a name. Engines hold slots and checkpoints save them
//! without knowing what they are for.

use super::Optimizer;
use crate::blueprint::{Parameter, ParameterLayout};

/// Which parameters have a slot of one name, and where their elements lie in it: one parameter behind the other, in the
/// order of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct SlotLayout {
    /// What the tensors are called in a checkpoint: `NAME.` and the parameter's name. PyTorch's name, where it has one.
    pub name: &'static str,
    /// Indices of parameters, rising, and their first elements in the slot.
    places: Vec<(usize, usize)>,
    len: usize,
}

impl SlotLayout {
    /// The slots that an optimizer needs for a model. Parameters that are not trained have none.
    pub fn all(optimizer: &Optimizer, layout: &ParameterLayout) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for (index, parameter) in layout.parameters().iter().enumerate().filter(|(_, p)| p.trainable) {
            for &name in optimizer.slots_of(parameter) {
                let known = all.iter().position(|slot| slot.name == name);
                let at = known.unwrap_or_else(|| {
                    all.push(Self { name, places: Vec::new(), len: 0 });
                    all.len() - 1
                });
                let slot = &mut all[at];
                slot.places.push((index, slot.len));
                slot.len += parameter.len;
            }
        }
        all
    }

    /// Elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no parameter has it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first element of the parameter number `index` of the model, if it has this slot.
    pub fn offset(&self, index: usize) -> Option<usize> {
        let at = self.places.binary_search_by_key(&index, |&(parameter, _)| parameter).ok()?;
        Some(self.places[at].1)
    }

    /// How many of its elements are of parameters' elements before `element` of the flat buffers.
    pub fn before(&self, layout: &ParameterLayout, element: usize) -> usize {
        let parameters = layout.parameters();
        let behind = self.places.partition_point(|&(index, _)| parameters[index].offset < element);
        let Some(&(index, offset)) = behind.checked_sub(1).and_then(|last| self.places.get(last)) else { return 0 };
        offset + (element - parameters[index].offset).min(parameters[index].len)
    }

    /// The parameters that have it, with their first elements.
    pub fn parameters<'a>(&'a self, layout: &'a ParameterLayout) -> impl Iterator<Item = (&'a Parameter, usize)> {
        self.places.iter().map(|&(index, offset)| (&layout.parameters()[index], offset))
    }
}

/// A slot on a device.
pub struct Slot<T> {
    /// What lies where.
    pub layout: SlotLayout,
    /// f32 elements.
    pub values: T,
}

/// The values of some slots, by name.
///
/// # Panics
/// If an optimizer asks for a slot that it has not declared, or twice for one.
pub fn named<'a, T, const N: usize>(slots: &'a mut [Slot<T>], names: [&str; N]) -> [&'a mut T; N] {
    let at = names.map(|name| {
        slots.iter().position(|slot| slot.layout.name == name).unwrap_or_else(|| panic!("no slot is called {name}"))
    });
    slots.get_disjoint_mut(at).expect("slots of different names").map(|slot| &mut slot.values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blueprint::Blueprint;
    use crate::config::tests::tiny;
    use crate::heads::Heads;
    use crate::heads::tests::classification;
    use crate::optim::adamw;

    #[test]
    fn all_has_each_trained_parameter_once_a_name_without_gaps() {
        let optimizer = Optimizer::AdamW(adamw::tests::OPTIONS);
        let layout = Blueprint::of(&tiny(), &Heads::MASKED_LM).unwrap().layout();
        let slots = SlotLayout::all(&optimizer, &layout);
        assert_eq!(slots.iter().map(|slot| slot.name).collect::<Vec<_>>(), ["exp_avg", "exp_avg_sq"]);
        for slot in &slots {
            assert_eq!(slot.len(), layout.len());
            assert!(slot.parameters(&layout).all(|(parameter, offset)| parameter.offset == offset));
        }
        let frozen = Blueprint::of(&tiny(), &classification(true)).unwrap().layout();
        let slots = SlotLayout::all(&optimizer, &frozen);
        let heads: Vec<_> = frozen.parameters().iter().filter(|p| p.trainable).collect();
        assert_eq!(slots[0].len(), heads.iter().map(|p| p.len).sum::<usize>());
        assert_eq!(slots[0].offset(0), None, "the encoder is frozen");
        assert_eq!(slots[0].parameters(&frozen).next(), Some((heads[0], 0)));
    }

    #[test]
    fn before_counts_the_elements_of_trained_parameters() {
        let layout = Blueprint::of(&tiny(), &classification(true)).unwrap().layout();
        let slot = SlotLayout::all(&Optimizer::AdamW(adamw::tests::OPTIONS), &layout).remove(0);
        for element in 0..=layout.len() {
            let trained = layout.parameters().iter().filter(|p| p.trainable);
            let expected: usize = trained.map(|p| element.clamp(p.offset, p.range().end) - p.offset).sum();
            assert_eq!(slot.before(&layout, element), expected);
        }
    }

    #[test]
    fn named_finds_slots_in_any_order() {
        let layout = Blueprint::of(&tiny(), &Heads::MASKED_LM).unwrap().layout();
        let layouts = SlotLayout::all(&Optimizer::AdamW(adamw::tests::OPTIONS), &layout);
        let mut slots: Vec<_> =
            layouts.into_iter().zip([1, 2]).map(|(layout, values)| Slot { layout, values }).collect();
        assert_eq!(named(&mut slots, ["exp_avg_sq", "exp_avg"]), [&2, &1]);
    }
}
