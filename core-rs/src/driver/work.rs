//! Work for a device as a value: what operations asked for, in order, before any of it runs. Two steps whose work is
//! equal can run as one graph; what differs between them (ids, dropout keys, the learning rate) lies in device memory.

use super::{Argument, Device, Launch, Product, Tensor};
use crate::error::Result;

/// One piece of work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Command {
    /// A kernel, and how many arguments it takes from [`Work::arguments`].
    Launch(Launch, usize),
    /// A product.
    Multiply(Product),
    /// `x = 0`
    Clear(Tensor),
    /// To the first from the second, which is as long.
    Copy(Tensor, Tensor),
}

impl Command {
    /// What it is called in a profile.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Launch(launch, _) => launch.kernel,
            Self::Clear(_) => "clear",
            Self::Copy(..) => "copy",
            Self::Multiply(product) => match (product.a.transposed, product.b.transposed) {
                (false, true) => "product: forward",
                (false, false) => "product: data gradient",
                (true, _) => "product: weight gradient",
            },
        }
    }
}

/// Commands in order, and their kernels' arguments one behind the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Work {
    commands: Vec<Command>,
    arguments: Vec<Argument>,
}

impl Work {
    /// Adds a kernel.
    pub fn launch(&mut self, launch: &Launch, arguments: &[Argument]) {
        self.commands.push(Command::Launch(*launch, arguments.len()));
        self.arguments.extend_from_slice(arguments);
    }

    /// Adds what has no arguments.
    pub fn push(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// Everything, in order.
    pub fn commands(&self) -> &[Command] {
        &self.commands
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Forgets everything; keeps the memory.
    pub fn clear(&mut self) {
        self.commands.clear();
        self.arguments.clear();
    }

    /// Calls `each` with every command in order, once `before` has been called with it. `multiply` runs a product.
    ///
    /// # Errors
    /// The first that a call gives.
    pub fn run<D: Device>(
        &self,
        device: &D,
        mut before: impl FnMut(&Command) -> Result<()>,
        mut multiply: impl FnMut(&Product) -> Result<()>,
    ) -> Result<()> {
        let mut arguments = &self.arguments[..];
        for command in &self.commands {
            before(command)?;
            match command {
                Command::Launch(launch, count) => {
                    let (these, others) = arguments.split_at(*count);
                    arguments = others;
                    device.launch(launch, these)?;
                }
                Command::Multiply(product) => multiply(product)?,
                Command::Clear(x) => device.clear(*x)?,
                Command::Copy(to, from) => device.copy(*to, *from)?,
            }
        }
        Ok(())
    }
}
