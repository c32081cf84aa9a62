//! Reads the pickle of a state dict: names and where their tensors lie. Nothing that a pickle asks for is run. The few
//! functions that PyTorch's own files name stand for what they make; any other name is refused.
//!
//! Values lie in one list and refer to each other by number, so that neither a value that holds itself a thousand times
//! over nor one that is nested a million deep costs more than the bytes that say so.

use std::collections::HashMap;

use safetensors::tensor::Dtype;

/// A tensor as a pickle says it.
#[derive(Clone, Debug, PartialEq)]
pub struct PickledTensor {
    /// Name of the storage that holds its elements.
    pub storage: String,
    /// Of the storage's elements.
    pub dtype: Dtype,
    /// Elements of the storage.
    pub storage_len: usize,
    /// First element in the storage.
    pub offset: usize,
    /// Sizes.
    pub shape: Vec<usize>,
    /// Elements from one index to the next, for each size.
    pub strides: Vec<usize>,
}

/// A pickle's value and how many bytes it took.
#[derive(Debug)]
pub struct Pickle {
    values: Vec<Value>,
    top: Id,
    /// Bytes read.
    pub len: usize,
}

/// Names and tensors of a dict, and the names of what else is in it.
pub struct StateDict<'a> {
    /// In the order of the pickle.
    pub tensors: Vec<(&'a str, &'a PickledTensor)>,
    /// Numbers, texts, dicts and the like.
    pub others: Vec<&'a str>,
}

/// Most values of a pickle, and most on its stack: a state dict of a hundred thousand tensors has fewer.
const MOST: usize = 1 << 22;

type Id = usize;

#[derive(Clone, Debug, PartialEq)]
enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// A number that no weights need.
    Number,
    Text(String),
    Global(Global),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Storage {
        name: String,
        dtype: Dtype,
        len: usize,
    },
    Tensor(PickledTensor),
}

/// What a pickle may name.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Dtype),
}

impl Global {
    fn named(module: &str, name: &str) -> Result<Self, String> {
        Ok(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "DoubleStorage") => Self::Storage(Dtype::F64),
            ("torch", "FloatStorage") => Self::Storage(Dtype::F32),
            ("torch", "HalfStorage") => Self::Storage(Dtype::F16),
            ("torch", "BFloat16Storage") => Self::Storage(Dtype::BF16),
            ("torch", "LongStorage") => Self::Storage(Dtype::I64),
            ("torch", "IntStorage") => Self::Storage(Dtype::I32),
            ("torch", "ShortStorage") => Self::Storage(Dtype::I16),
            ("torch", "CharStorage") => Self::Storage(Dtype::I8),
            ("torch", "ByteStorage") => Self::Storage(Dtype::U8),
            ("torch", "BoolStorage") => Self::Storage(Dtype::BOOL),
            _ => {
                return Err(format!(
                    "its pickle asks for {module}.{name}, which is no part of weights; nothing was run"
                ));
            }
        })
    }
}

impl Pickle {
    /// Reads the pickle that the bytes begin with.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut machine = Machine { bytes, at: 0, values: vec![], stack: vec![], marks: vec![], memo: HashMap::new() };
        while machine.step()? {}
        let top = machine.pop()?;
        Ok(Self { values: machine.values, top, len: machine.at })
    }

    /// The dict that it is.
    ///
    /// # Errors
    /// If it is none, or has no tensor, or one twice.
    pub fn state_dict(&self) -> Result<StateDict<'_>, String> {
        let Value::Dict(items) = &self.values[self.top] else { return Err("its pickle is no dict of tensors".into()) };
        let (mut tensors, mut others) = (Vec::new(), Vec::new());
        for &(key, value) in items {
            let Value::Text(name) = &self.values[key] else { return Err("its dict has a key that is no text".into()) };
            match &self.values[value] {
                Value::Tensor(tensor) => tensors.push((name.as_str(), tensor)),
                _ => others.push(name.as_str()),
            }
        }
        match tensors.is_empty() {
            true if others.is_empty() => Err("its dict is empty".into()),
            true => Err(format!("its dict holds no tensors, but {}", some_of(&others))),
            false => Ok(StateDict { tensors, others }),
        }
    }

    /// The texts of a list.
    pub fn texts(&self) -> Option<Vec<&str>> {
        let Value::List(items) = &self.values[self.top] else { return None };
        items
            .iter()
            .map(|&item| if let Value::Text(text) = &self.values[item] { Some(text.as_str()) } else { None })
            .collect()
    }

    /// The whole number that it is.
    pub fn whole_number(&self) -> Option<i64> {
        if let Value::Int(value) = self.values[self.top] { Some(value) } else { None }
    }

    /// Whether it is a dict that says of that name that it is false.
    pub fn denies(&self, name: &str) -> bool {
        let Value::Dict(items) = &self.values[self.top] else { return false };
        let is_named = |id: Id| matches!(&self.values[id], Value::Text(text) if text == name);
        items.iter().any(|&(key, value)| is_named(key) && self.values[value] == Value::Bool(false))
    }
}

/// At most three of the names.
pub fn some_of(names: &[&str]) -> String {
    let first = names.iter().take(3).copied().collect::<Vec<_>>().join(", ");
    if names.len() > 3 { format!("{first} and {} more", names.len() - 3) } else { first }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Lengths of the stack at its marks.
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
}

impl<'a> Machine<'a> {
    /// Does what the next byte says; `false` at the end.
    fn step(&mut self) -> Result<bool, String> {
        match self.byte()? {
            0x80 => drop(self.byte()?),  // PROTO
            0x95 => drop(self.take(8)?), // FRAME
            b'(' => {
                self.marks.push(self.stack.len());
                self.check_size()?;
            }
            b'.' => return Ok(false),
            b'0' => drop(self.pop()?),
            b'N' => self.push(Value::None)?,
            code @ (0x88 | 0x89) => self.push(Value::Bool(code == 0x88))?,
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()))?;
            }
            b'K' => {
                let value = self.byte()?;
                self.push(Value::Int(value.into()))?;
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()))?;
            }
            0x8a => self.long()?,
            b'G' => {
                self.take(8)?;
                self.push(Value::Number)?;
            }
            b'X' | b'T' => {
                let len = u32::from_le_bytes(self.array()?);
                self.text(len as usize)?;
            }
            0x8c | b'U' => {
                let len = self.byte()?;
                self.text(len.into())?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(Global::named(&module, &name)?))?;
            }
            0x93 => {
                let (name, module) = (self.pop_text()?, self.pop_text()?);
                self.push(Value::Global(Global::named(&module, &name)?))?;
            }
            b')' => self.push(Value::Tuple(vec![]))?,
            code @ 0x85..=0x87 => {
                let items = self.pop_many(usize::from(code - 0x84))?;
                self.push(Value::Tuple(items))?;
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Tuple(items))?;
            }
            b']' => self.push(Value::List(vec![]))?,
            b'l' => {
                let items = self.pop_to_mark()?;
                self.push(Value::List(items))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.append(items)?;
            }
            b'}' => self.push(Value::Dict(vec![]))?,
            b'd' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Dict(vec![]))?;
                self.set_items(&items)?;
            }
            b's' => {
                let items = self.pop_many(2)?;
                self.set_items(&items)?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set_items(&items)?;
            }
            b'q' => {
                let key = self.byte()?;
                self.memoize(key.into())?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.array()?);
                self.memoize(key as usize)?;
            }
            0x94 => self.memoize(self.memo.len())?,
            b'h' => {
                let key = self.byte()?;
                self.recall(key.into())?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.array()?);
                self.recall(key as usize)?;
            }
            b'Q' => self.storage()?,
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            code => return Err(format!("its pickle has the code {code:#04x}, which weights do not need")),
        }
        Ok(true)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.array::<1>()?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        Ok(std::array::from_fn({
            let bytes = self.take(N)?;
            |i| bytes[i]
        }))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], String> {
        let bytes = self.bytes[self.at..].get(..len).ok_or("it ends within its pickle")?;
        self.at += len;
        Ok(bytes)
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = &self.bytes[self.at..];
        let len = rest.iter().take(1000).position(|&byte| byte == b'\n').ok_or("a name in its pickle has no end")?;
        self.at += len + 1;
        Ok(String::from_utf8_lossy(&rest[..len]).into_owned())
    }

    fn text(&mut self, len: usize) -> Result<(), String> {
        let text = std::str::from_utf8(self.take(len)?).map_err(|_| "a text in its pickle is not UTF-8")?;
        self.push(Value::Text(text.to_owned()))
    }

    /// A whole number of up to eight bytes; the longer ones of a file's magic number are none that is used.
    fn long(&mut self) -> Result<(), String> {
        let len = self.byte()?;
        let bytes = self.take(len.into())?;
        let sign = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xFF } else { 0 };
        let value = i64::from_le_bytes(std::array::from_fn(|i| bytes.get(i).copied().unwrap_or(sign)));
        self.push(if bytes.len() <= 8 { Value::Int(value) } else { Value::Number })
    }

    fn push(&mut self, value: Value) -> Result<(), String> {
        self.values.push(value);
        self.push_id(self.values.len() - 1)
    }

    fn push_id(&mut self, id: Id) -> Result<(), String> {
        self.stack.push(id);
        self.check_size()
    }

    fn check_size(&self) -> Result<(), String> {
        match [self.values.len(), self.stack.len(), self.marks.len()].iter().any(|&len| len > MOST) {
            true => Err(format!("its pickle has more than {MOST} values, which no weights need")),
            false => Ok(()),
        }
    }

    /// Takes the value on top, which is not below a mark.
    fn pop(&mut self) -> Result<Id, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len() > floor {
            true => Ok(self.stack.pop().unwrap_or_default()),
            false => Err("its pickle takes a value where there is none".into()),
        }
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, String> {
        let mut items = (0..count).map(|_| self.pop()).collect::<Result<Vec<Id>, String>>()?;
        items.reverse();
        Ok(items)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("its pickle goes back to a mark that is not there")?;
        Ok(self.stack.split_off(mark))
    }

    fn pop_text(&mut self) -> Result<String, String> {
        let id = self.pop()?;
        match &self.values[id] {
            Value::Text(text) => Ok(text.clone()),
            _ => Err("its pickle names something by what is no text".into()),
        }
    }

    fn top(&mut self) -> Result<&mut Value, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let id =
            self.stack.get(floor..).and_then(<[Id]>::last).ok_or("its pickle adds to a value that is not there")?;
        Ok(&mut self.values[*id])
    }

    fn append(&mut self, items: Vec<Id>) -> Result<(), String> {
        let Value::List(list) = self.top()? else { return Err("its pickle appends to what is no list".into()) };
        list.extend(items);
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Result<(), String> {
        let pairs = items.chunks_exact(2);
        if !pairs.remainder().is_empty() {
            return Err("its pickle has a key without a value".into());
        }
        let Value::Dict(dict) = self.top()? else { return Err("its pickle sets an item of what is no dict".into()) };
        dict.extend(pairs.map(|pair| (pair[0], pair[1])));
        Ok(())
    }

    fn memoize(&mut self, key: usize) -> Result<(), String> {
        let id = *self.stack.last().ok_or("its pickle remembers a value that is not there")?;
        self.memo.insert(key, id);
        Ok(())
    }

    fn recall(&mut self, key: usize) -> Result<(), String> {
        let id = *self.memo.get(&key).ok_or("its pickle recalls a value that is not there")?;
        self.push_id(id)
    }

    /// `("storage", class, name, place, length)`; in the older form with a view at the end, which is none today.
    fn storage(&mut self) -> Result<(), String> {
        let id = self.pop()?;
        let wrong = || "its pickle describes a storage in a way that is not known".to_owned();
        let Value::Tuple(items) = &self.values[id] else { return Err(wrong()) };
        let parts: Vec<&Value> = items.iter().map(|&item| &self.values[item]).collect();
        let (Value::Text(kind), Value::Global(Global::Storage(dtype)), Value::Text(name), Value::Int(len)) =
            (match parts[..] {
                [kind, class, name, _, len] | [kind, class, name, _, len, Value::None] => (kind, class, name, len),
                _ => return Err(wrong()),
            })
        else {
            return Err(wrong());
        };
        if kind != "storage" {
            return Err(wrong());
        }
        let len = usize::try_from(*len).map_err(|_| wrong())?;
        let storage = Value::Storage { name: name.clone(), dtype: *dtype, len };
        self.push(storage)
    }

    /// Stands in for a call of one of the few known functions.
    fn reduce(&mut self) -> Result<(), String> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let wrong = || "its pickle makes a tensor in a way that is not known".to_owned();
        let Value::Tuple(arguments) = &self.values[arguments] else { return Err(wrong()) };
        let Value::Global(function) = &self.values[function] else {
            return Err("its pickle calls what is no function".into());
        };
        match (function, &arguments[..]) {
            (Global::OrderedDict, []) => self.push(Value::Dict(vec![])),
            (Global::OrderedDict, &[items]) => {
                let pairs = self.pairs(items).ok_or_else(wrong)?;
                self.push(Value::Dict(pairs))
            }
            (Global::RebuildParameter, &[tensor, ..]) if matches!(self.values[tensor], Value::Tensor(_)) => {
                self.push_id(tensor)
            }
            // The seventh says of a view that it is negated or conjugated.
            (Global::RebuildTensor, &[.., metadata]) if arguments.len() > 6 && self.values[metadata] != Value::None => {
                Err(wrong())
            }
            (Global::RebuildTensor, &[storage, offset, shape, strides, ..]) => {
                let tensor = self.tensor(storage, offset, shape, strides).ok_or_else(wrong)?;
                self.push(Value::Tensor(tensor))
            }
            _ => Err(wrong()),
        }
    }

    /// The pairs of a list of pairs.
    fn pairs(&self, items: Id) -> Option<Vec<(Id, Id)>> {
        let Value::List(items) = &self.values[items] else { return None };
        let pair = |id: &Id| match &self.values[*id] {
            Value::Tuple(pair) | Value::List(pair) => Some((*pair.first()?, *pair.get(1)?)),
            _ => None,
        };
        items.iter().map(pair).collect()
    }

    fn tensor(&self, storage: Id, offset: Id, shape: Id, strides: Id) -> Option<PickledTensor> {
        let size = |id: Id| if let Value::Int(value) = self.values[id] { usize::try_from(value).ok() } else { None };
        let sizes = |id: Id| match &self.values[id] {
            Value::Tuple(items) => items.iter().map(|&item| size(item)).collect::<Option<Vec<usize>>>(),
            _ => None,
        };
        let Value::Storage { name, dtype, len } = &self.values[storage] else { return None };
        let (shape, strides) = (sizes(shape)?, sizes(strides)?);
        let tensor = PickledTensor {
            storage: name.clone(),
            dtype: *dtype,
            storage_len: *len,
            offset: size(offset)?,
            shape,
            strides,
        };
        (tensor.shape.len() == tensor.strides.len()).then_some(tensor)
    }

    /// Attributes of a dict, such as a state dict's versions, are passed over.
    fn build(&mut self) -> Result<(), String> {
        self.pop()?;
        match self.top()? {
            Value::Dict(_) => Ok(()),
            _ => Err("its pickle sets attributes of what is no dict".into()),
        }
    }
}
