//! Storage for weights, gradients, moments and activations: zeroed memory that is planned when an engine opens.
//!
//! Large buffers are mapped at 2 MiB boundaries and ask for huge pages: page faults and TLB misses cost a third of a
//! training step otherwise. Those of an engine that only answers wait with that for a batch that fills them
//! ([`Waiting`]). Middling ones are mapped too: the allocator would write their zeros, and an engine that is
//! opened for one sentence never touches most of them. A buffer that cannot be had is an error, not an abort.
//!
//! A mapping that succeeds is no promise: Linux hands out more than it has and ends the process that touches it. So what
//! an engine plans is added up, and compared with what the machine has ([`Plan`]) before anything is touched.

mod available;

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::{Cell, RefCell};
use std::ops::{Deref, DerefMut};

pub use available::available;

use crate::error::{Code, Error, Result};
use crate::machine::dtype::Element;
use crate::machine::threads::Shards;

thread_local! {
    /// Bytes that this thread has asked for so far, whether or not it still has them.
    static PLANNED: Cell<usize> = const { Cell::new(0) };
    /// Bytes up to which it may touch what it asks for, while a plan is made.
    static LIMIT: Cell<usize> = const { Cell::new(usize::MAX) };
    /// The large buffers that this thread has made while a plan puts huge pages off.
    static PUT_OFF: RefCell<Option<Waiting>> = const { RefCell::new(None) };
}

#[cfg(test)]
thread_local! {
    /// Bytes of the largest buffer that a test lets this thread have.
    pub(crate) static LARGEST: Cell<usize> = const { Cell::new(usize::MAX) };
}

const HUGE_PAGE: usize = 2 << 20;
/// Bytes from which on a buffer is a mapping of its own.
#[cfg(unix)]
const MAPPED: usize = 64 << 10;
/// Where every buffer that is not a file's starts: a cache line, which tile loads are twice as fast from.
const ALIGNMENT: usize = 64;

/// Zero-initialized elements of a fixed length.
pub struct Buffer<T: Element = f32> {
    data: *mut T,
    len: usize,
    storage: Storage,
}

enum Storage {
    /// No element, no memory.
    Empty,
    /// From the allocator: what is small, or where there is no `mmap`.
    Allocated(Layout),
    #[cfg(unix)]
    Mapped { base: *mut libc::c_void, bytes: usize },
    /// A file's pages, read when they are touched; writing changes a private copy.
    File(#[allow(dead_code)] memmap2::MmapMut),
}

// SAFETY: a buffer owns its memory exclusively and hands it out only through `&self` and `&mut self`.
unsafe impl<T: Element> Send for Buffer<T> {}
// SAFETY: as above.
unsafe impl<T: Element> Sync for Buffer<T> {}

impl Buffer<f32> {
    /// The `len` elements that lie `offset` bytes into a private mapping of a file, in place. Nothing if they are not
    /// inside it, not aligned, or not in this machine's byte order.
    pub fn in_file(mut map: memmap2::MmapMut, offset: usize, len: usize) -> Option<Self> {
        let bytes = map.get_mut(offset..offset.checked_add(len.checked_mul(size_of::<f32>())?)?)?;
        let data = bytes.as_mut_ptr().cast::<f32>();
        let usable = data.is_aligned() && cfg!(target_endian = "little");
        usable.then_some(Self { data, len, storage: Storage::File(map) })
    }
}

impl<T: Element> Buffer<T> {
    /// `len` zeros.
    ///
    /// # Errors
    /// `OutOfMemory` with the size that was asked for.
    pub fn zeroed(len: usize) -> Result<Self> {
        let bytes = len.checked_mul(size_of::<T>()).ok_or_else(|| out_of_memory(usize::MAX))?;
        if bytes == 0 {
            return Ok(Self { data: std::ptr::NonNull::dangling().as_ptr(), len, storage: Storage::Empty });
        }
        #[cfg(test)]
        if bytes > LARGEST.get() {
            return Err(out_of_memory(bytes));
        }
        let planned = plan_bytes(bytes);
        #[cfg(unix)]
        if bytes >= MAPPED {
            return Self::mapped(len, bytes);
        }
        if planned > LIMIT.get() {
            return Err(too_much(planned, LIMIT.get(), "more than "));
        }
        let alignment = if bytes >= HUGE_PAGE { HUGE_PAGE } else { ALIGNMENT };
        let layout = Layout::from_size_align(bytes, alignment).map_err(|_| out_of_memory(bytes))?;
        // SAFETY: the size is not zero. All-zero bytes are the element zero of every `Element`.
        let data = unsafe { alloc_zeroed(layout) };
        if data.is_null() {
            return Err(out_of_memory(bytes));
        }
        Ok(Self { data: data.cast(), len, storage: Storage::Allocated(layout) })
    }

    /// Lends the elements to blocks of a run that write disjoint parts, while nobody reads them.
    pub(crate) fn shards(&self) -> Shards<T> {
        Shards::of_raw(self.data, self.len)
    }

    #[cfg(unix)]
    fn mapped(len: usize, bytes: usize) -> Result<Self> {
        // A mapping starts at a page, which is a boundary of ALIGNMENT as well.
        let is_large = bytes >= HUGE_PAGE;
        let room = if is_large { HUGE_PAGE } else { 0 };
        let total = bytes.checked_add(room).ok_or_else(|| out_of_memory(bytes))?;
        // SAFETY: a fresh private anonymous mapping touches no existing memory.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                total,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(out_of_memory(bytes));
        }
        let shift = if is_large { base.align_offset(HUGE_PAGE) } else { 0 };
        // SAFETY: `shift < room`, so `bytes` bytes from here are inside the mapping.
        let data = unsafe { base.byte_add(shift) };
        #[cfg(target_os = "linux")]
        if is_large {
            let place = Place { at: data as usize, bytes };
            PUT_OFF.with_borrow_mut(|waiting| match waiting {
                Some(Waiting(places)) => places.push(place),
                None => place.ask_for_huge_pages(),
            });
        }
        Ok(Self { data: data.cast(), len, storage: Storage::Mapped { base, bytes: total } })
    }
}

/// Where a large buffer lies.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
#[derive(Debug)]
struct Place {
    at: usize,
    bytes: usize,
}

impl Place {
    #[cfg(target_os = "linux")]
    fn ask_for_huge_pages(&self) {
        // SAFETY: advice changes no memory, only how fast it is, whatever lies there; a refusal changes nothing.
        unsafe { libc::madvise(self.at as *mut libc::c_void, self.bytes, libc::MADV_HUGEPAGE) };
    }
}

/// Large buffers that have not asked for huge pages yet. A batch of one sentence touches a few rows of each, for which the
/// system would write 2 MiB of zeros: most of the time to an engine's first answer. Full batches are slower without.
#[derive(Debug, Default)]
pub struct Waiting(Vec<Place>);

impl Waiting {
    /// Asks for them, once, if a batch fills the buffers.
    pub fn ask_for_huge_pages_if(&mut self, is_filled: bool) {
        if is_filled {
            #[cfg(target_os = "linux")]
            self.0.iter().for_each(Place::ask_for_huge_pages);
            self.0.clear();
        }
    }
}

/// What is asked for from here on, until it is checked: made on the thread that makes the buffers.
pub struct Plan {
    before: usize,
    limit: usize,
    waiting: Option<Waiting>,
}

impl Plan {
    /// Begins to add up. If it `puts_off`, large buffers ask for huge pages when what [`Plan::check`] gives is told to.
    pub fn begin(puts_off: bool) -> Self {
        let before = PLANNED.get();
        let limit = LIMIT.replace(before.saturating_add(available().unwrap_or(usize::MAX)));
        Self { before, limit, waiting: PUT_OFF.replace(puts_off.then(Waiting::default)) }
    }

    /// Bytes so far.
    pub fn bytes(&self) -> usize {
        PLANNED.get().saturating_sub(self.before)
    }

    /// Ends it.
    ///
    /// # Errors
    /// `OutOfMemory`, with both figures, if that is more than the machine has.
    pub fn check(self) -> Result<Waiting> {
        match available() {
            Some(free) if self.bytes() > free => Err(too_much(self.bytes(), free, "")),
            _ => Ok(PUT_OFF.take().unwrap_or_default()),
        }
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        LIMIT.set(self.limit);
        PUT_OFF.set(self.waiting.take());
    }
}

fn plan_bytes(bytes: usize) -> usize {
    PLANNED.set(PLANNED.get().saturating_add(bytes));
    PLANNED.get()
}

/// A vector of `len` zeros, which are not written where the system hands out zeros.
///
/// # Errors
/// `OutOfMemory` with the size that was asked for.
pub fn zeros<T: Zero>(len: usize) -> Result<Vec<T>> {
    let layout = Layout::array::<T>(len).map_err(|_| out_of_memory(usize::MAX))?;
    if layout.size() == 0 {
        return Ok(Vec::new());
    }
    plan_bytes(layout.size());
    // SAFETY: the size is not zero.
    let data = unsafe { alloc_zeroed(layout) };
    if data.is_null() {
        return Err(out_of_memory(layout.size()));
    }
    // SAFETY: from the global allocator for an array of `len`, all of it a `T` by `Zero`.
    Ok(unsafe { Vec::from_raw_parts(data.cast(), len, len) })
}

/// Types whose value zero is all-zero bytes.
///
/// # Safety
/// All-zero bytes have to be a value.
pub unsafe trait Zero: Copy {}
// SAFETY: plain numbers.
unsafe impl Zero for i32 {}
// SAFETY: plain numbers.
unsafe impl Zero for f32 {}

/// Makes a vector of scratch `len` zeros; it keeps its memory.
///
/// # Errors
/// `OutOfMemory` with the size that was asked for.
pub(crate) fn refill<T: Copy + Default>(vector: &mut Vec<T>, len: usize) -> Result<()> {
    vector.clear();
    vector.try_reserve(len).map_err(|_| out_of_memory(len.saturating_mul(size_of::<T>())))?;
    vector.resize(len, T::default());
    Ok(())
}

/// Bytes as people say them.
fn said(bytes: usize) -> String {
    match bytes {
        usize::MAX => "more than any machine has".into(),
        _ if bytes < 10 << 20 => format!("{} KiB", bytes >> 10),
        _ if bytes < 10 << 30 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}

const OUT_OF_MEMORY_HINT: &str =
    "use a smaller model, fewer tokens in a batch (--batch-tokens), shorter sequences or fewer threads (--threads)";

fn too_much(bytes: usize, free: usize, more: &str) -> Error {
    let message =
        format!("this model with these batches needs {more}{} of memory, but {} are free", said(bytes), said(free));
    Error::new(Code::OutOfMemory, message).with_hint(OUT_OF_MEMORY_HINT)
}

fn out_of_memory(bytes: usize) -> Error {
    let free = available().map_or(String::new(), |free| format!("; {} are free", said(free)));
    Error::new(Code::OutOfMemory, format!("could not reserve {} of memory{free}", said(bytes)))
        .with_hint(OUT_OF_MEMORY_HINT)
}

impl<T: Element> Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: `data` is `len` initialized elements that live as long as `self`.
        unsafe { std::slice::from_raw_parts(self.data, self.len) }
    }
}

impl<T: Element> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.data, self.len) }
    }
}

impl<T: Element> Drop for Buffer<T> {
    fn drop(&mut self) {
        match self.storage {
            Storage::Empty | Storage::File(_) => {}
            // SAFETY: what the allocator gave for this layout, given back once.
            Storage::Allocated(layout) => unsafe { dealloc(self.data.cast(), layout) },
            #[cfg(unix)]
            // SAFETY: exactly what `mmap` returned, unmapped once.
            Storage::Mapped { base, bytes } => unsafe {
                libc::munmap(base, bytes);
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::dtype::Bf16;

    #[test]
    fn zeroed_is_zero_writable_and_aligned_when_large() {
        for len in [0, 1, 1000, 20_000, HUGE_PAGE / 4, HUGE_PAGE + 3] {
            let mut buffer = Buffer::<f32>::zeroed(len).unwrap();
            assert_eq!(buffer.len(), len);
            assert!(buffer.iter().all(|&x| x == 0.0));
            buffer.fill(1.5);
            assert!(buffer.iter().all(|&x| x == 1.5));
        }
        let large = Buffer::<Bf16>::zeroed(HUGE_PAGE).unwrap();
        assert_eq!(large.as_ptr() as usize % HUGE_PAGE, 0);
        assert_eq!(Buffer::<Bf16>::zeroed(3).unwrap().as_ptr() as usize % ALIGNMENT, 0);
    }

    #[test]
    fn in_file_takes_only_what_lies_inside_and_aligned_and_leaves_the_file_alone() {
        let path = std::env::temp_dir().join(format!("cloze-memory-{}", std::process::id()));
        std::fs::write(&path, [1.0f32, 2.0, 3.0].map(f32::to_le_bytes).concat()).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        // SAFETY: nobody changes this test's own file.
        let map = || unsafe { memmap2::MmapOptions::new().map_copy(&file) }.unwrap();
        let mut buffer = Buffer::in_file(map(), 4, 2).unwrap();
        assert_eq!(buffer[..], [2.0, 3.0]);
        buffer[0] = 9.0;
        assert_eq!(Buffer::in_file(map(), 0, 3).unwrap()[..], [1.0, 2.0, 3.0]);
        for (offset, len) in [(4, 3), (1, 1), (16, 0), (usize::MAX, 1), (0, usize::MAX)] {
            assert!(Buffer::in_file(map(), offset, len).is_none(), "{len} elements at byte {offset}");
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn zeroed_refuses_what_no_machine_has() {
        for len in [usize::MAX, usize::MAX / 8] {
            let error = Buffer::<f32>::zeroed(len).err().unwrap();
            assert_eq!(error.code, Code::OutOfMemory);
            assert_eq!(zeros::<f32>(len).unwrap_err().code, Code::OutOfMemory);
        }
        assert_eq!(zeros::<i32>(5).unwrap(), [0; 5]);
        assert!(zeros::<i32>(0).unwrap().is_empty());
    }

    #[test]
    fn plan_adds_up_what_is_reserved_and_refuses_what_is_more_than_is_free() {
        let plan = Plan::begin(false);
        let _small = Buffer::<f32>::zeroed(100).unwrap();
        let _large = Buffer::<Bf16>::zeroed(1 << 20).unwrap();
        assert_eq!(plan.bytes(), 400 + (2 << 20));
        plan.check().unwrap();
        let Some(free) = available() else { return };
        let plan = Plan::begin(false);
        // As many mappings as it takes, each of which Linux grants, because none is touched.
        let _buffers: Vec<_> = (0..3).map(|_| Buffer::<f32>::zeroed(free / 8)).collect::<Result<_>>().unwrap();
        let error = plan.check().unwrap_err();
        assert!(error.code == Code::OutOfMemory && error.message.contains("free"), "{error}");
        assert!(error.hint.contains("--batch-tokens"));
        let plan = Plan::begin(false);
        let _buffers: Vec<_> = (0..3).map(|_| Buffer::<f32>::zeroed(free / 8)).collect::<Result<_>>().unwrap();
        let error = Buffer::<f32>::zeroed(1).err().unwrap();
        assert!(error.message.contains("needs more than"), "what would be touched at once: {error}");
        drop(plan);
        Buffer::<f32>::zeroed(1).unwrap();
    }

    /// Whether the mapping that `address` lies in has been advised to have huge pages.
    #[cfg(target_os = "linux")]
    fn asks_for_huge_pages(address: usize) -> bool {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        for line in maps.lines() {
            if let Some((from, rest)) = line.split_once('-')
                && let (Ok(from), Some((to, _))) = (usize::from_str_radix(from, 16), rest.split_once(' '))
            {
                inside = (from..usize::from_str_radix(to, 16).unwrap()).contains(&address);
            } else if inside && let Some(flags) = line.strip_prefix("VmFlags:") {
                return flags.split_whitespace().any(|flag| flag == "hg");
            }
        }
        panic!("nothing is mapped at {address:#x}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn buffers_ask_for_huge_pages_at_once_or_when_what_waits_is_told_to() {
        if !std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
            return; // a kernel without them refuses the advice
        }
        let at = |buffer: &Buffer<f32>| buffer.as_ptr() as usize;
        let made = || Buffer::<f32>::zeroed(HUGE_PAGE).unwrap();
        let eager = made();
        assert!(asks_for_huge_pages(at(&eager)));
        let plan = Plan::begin(true);
        let buffers = [made(), made()];
        let mut waiting = plan.check().unwrap();
        assert!(buffers.iter().all(|buffer| !asks_for_huge_pages(at(buffer))));
        assert!(asks_for_huge_pages(at(&made())), "a buffer behind the plan");
        waiting.ask_for_huge_pages_if(false);
        assert!(buffers.iter().all(|buffer| !asks_for_huge_pages(at(buffer))));
        waiting.ask_for_huge_pages_if(true);
        assert!(buffers.iter().all(|buffer| asks_for_huge_pages(at(buffer))));
    }

    #[test]
    fn refill_refuses_what_no_machine_has_and_leaves_the_vector_usable() {
        let mut vector = vec![1.0f32; 3];
        assert_eq!(refill(&mut vector, usize::MAX / 8).unwrap_err().code, Code::OutOfMemory);
        refill(&mut vector, 2).unwrap();
        assert_eq!(vector, [0.0; 2]);
    }
}
