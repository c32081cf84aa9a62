//! The calls and constants of MPI's three binary interfaces. A handle is an int (MPICH), a small number in a pointer (the
//! interface of MPI 5), or the address of a symbol (Open MPI): all are passed as a pointer's width, of which a callee that
//! wants an int reads the lower half.

use std::ffi::{OsStr, c_char, c_int, c_void};
use std::path::Path;

use crate::error::{Code, Error, Result};

/// Which binary interface a library has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// That of the standard's chapter 20: `libmpi_abi.so`.
    Mpi5,
    /// MPICH's, which Intel MPI and others share: `libmpi.so.12`, Debian's `libmpich.so.12`.
    Mpich,
    /// `libmpi.so.40`
    OpenMpi,
}

impl Interface {
    /// For reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mpi5 => "MPI 5",
            Self::Mpich => "MPICH",
            Self::OpenMpi => "Open MPI",
        }
    }
}

/// Values that the standard leaves, or left, to the library.
#[derive(Clone, Copy)]
pub struct Constants {
    pub world: usize,
    pub byte: usize,
    pub errors_return: usize,
    pub statuses_ignore: usize,
    /// MPI_THREAD_SERIALIZED
    pub serialized: c_int,
    /// Bytes of a request.
    pub request_bytes: usize,
}

const MPI5: Constants = Constants {
    world: 0x101,
    byte: 0x247,
    errors_return: 0x143,
    statuses_ignore: 0,
    serialized: 2048,
    request_bytes: 8,
};
const MPICH: Constants = Constants {
    world: 0x4400_0000,
    byte: 0x4c00_010d,
    errors_return: 0x5400_0001,
    statuses_ignore: 1,
    serialized: 2,
    request_bytes: 4,
};

type Message = unsafe extern "C" fn(*mut c_void, c_int, usize, c_int, c_int, usize, *mut c_void) -> c_int;

/// An open library.
pub struct Table {
    pub interface: Interface,
    pub constants: Constants,
    pub init_thread: unsafe extern "C" fn(*mut c_int, *mut c_void, c_int, *mut c_int) -> c_int,
    pub comm_rank: unsafe extern "C" fn(usize, *mut c_int) -> c_int,
    pub comm_size: unsafe extern "C" fn(usize, *mut c_int) -> c_int,
    pub set_errhandler: unsafe extern "C" fn(usize, usize) -> c_int,
    pub isend: Message,
    pub irecv: Message,
    pub testall: unsafe extern "C" fn(c_int, *mut c_void, *mut c_int, usize) -> c_int,
    pub abort: unsafe extern "C" fn(usize, c_int) -> c_int,
    pub finalize: unsafe extern "C" fn() -> c_int,
    error_string: unsafe extern "C" fn(c_int, *mut c_char, *mut c_int) -> c_int,
    version: unsafe extern "C" fn(*mut c_char, *mut c_int) -> c_int,
}

/// Bytes of a text that MPI writes: the standard's longest is 8192.
const LONGEST_TEXT: usize = 1 << 14;

impl Table {
    /// Opens a library, for good: it is never closed. One that is to be used has to be `visible` to the plugins that it opens
    /// itself; of those that are looked at only, several can be open then.
    ///
    /// # Errors
    /// `Unsupported` if it is no MPI library.
    pub fn open(path: &Path, visible: bool) -> Result<Self> {
        let library = open(path, visible).map_err(|why| unusable(path, &why))?;
        let lacks = |name: &str| unusable(path, &format!("it lacks {name}"));
        macro_rules! call {
            ($name:literal) => {
                // SAFETY: the type is that of the standard, with handles as said above.
                *unsafe { library.get(concat!($name, "\0").as_bytes()) }.map_err(|_| lacks($name))?
            };
        }
        let address = |name: &str| {
            // SAFETY: only the address is used.
            unsafe { library.get::<*const c_void>(format!("{name}\0").as_bytes()) }
                .map(|symbol| symbol.as_raw_ptr() as usize)
        };
        let is_abi =
            |path: &Path| path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.contains("mpi_abi"));
        let (interface, constants) = if let Ok(world) = address("ompi_mpi_comm_world") {
            let of = |name: &str| address(name).map_err(|_| lacks(name));
            let constants = Constants {
                world,
                byte: of("ompi_mpi_byte")?,
                errors_return: of("ompi_mpi_errors_return")?,
                statuses_ignore: 0,
                serialized: 2,
                request_bytes: 8,
            };
            (Interface::OpenMpi, constants)
        } else if is_abi(path) || path.canonicalize().is_ok_and(|path| is_abi(&path)) {
            (Interface::Mpi5, MPI5)
        } else {
            (Interface::Mpich, MPICH)
        };
        let table = Self {
            interface,
            constants,
            init_thread: call!("MPI_Init_thread"),
            comm_rank: call!("MPI_Comm_rank"),
            comm_size: call!("MPI_Comm_size"),
            set_errhandler: call!("MPI_Comm_set_errhandler"),
            isend: call!("MPI_Isend"),
            irecv: call!("MPI_Irecv"),
            testall: call!("MPI_Testall"),
            abort: call!("MPI_Abort"),
            finalize: call!("MPI_Finalize"),
            error_string: call!("MPI_Error_string"),
            version: call!("MPI_Get_library_version"),
        };
        std::mem::forget(library);
        Ok(table)
    }

    /// What the library says that it is, in a line. May be asked before it is initialized.
    pub fn version(&self) -> String {
        // SAFETY: the room is as long as the standard wants, and more.
        let text = text(|room, len| unsafe { (self.version)(room, len) });
        let first = text.split([',', '\n']).next().unwrap_or_default();
        first.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// An error, if a call failed.
    pub fn check(&self, call: &str, status: c_int) -> Result<()> {
        if status == 0 {
            return Ok(());
        }
        // SAFETY: as above.
        let why = text(|room, len| unsafe { (self.error_string)(status, room, len) });
        Err(Error::new(Code::Io, format!("{call} failed: {}", why.trim())))
    }
}

fn text(write: impl FnOnce(*mut c_char, *mut c_int) -> c_int) -> String {
    let (mut room, mut len) = (vec![0u8; LONGEST_TEXT], 0);
    write(room.as_mut_ptr().cast(), &mut len);
    room.truncate((len.max(0) as usize).min(LONGEST_TEXT));
    String::from_utf8_lossy(&room).trim_end_matches('\0').into()
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::new(Code::Unsupported, format!("the MPI library {} cannot be used: {why}", path.display()))
}

#[cfg(unix)]
use libloading::os::unix::Library;
#[cfg(windows)]
use libloading::os::windows::Library;

#[cfg(unix)]
fn open(path: &Path, visible: bool) -> std::result::Result<Library, String> {
    use libloading::os::unix::{RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};
    // SAFETY: initializers of a library that the system, or the user, calls MPI.
    unsafe { Library::open(Some(path), RTLD_NOW | if visible { RTLD_GLOBAL } else { RTLD_LOCAL }) }
        .map_err(|error| error.to_string())
}

#[cfg(windows)]
fn open(_: &Path, _: bool) -> std::result::Result<Library, String> {
    Err("MPI is used on Linux and macOS only".into())
}
