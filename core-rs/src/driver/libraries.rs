//! Finds what the GPU engine needs at run time: the driver, cuBLASLt and NVRTC. None of them is needed to build cloze or
//! to run it on the CPU, and cudarc panics where one is missing, so everything asks here first.
//!
//! The system's search path comes first; then the folders that the caller names, such as those of pip's `nvidia-*`
//! wheels, whose libraries are loaded by their full path and then found by their name.

use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use cudarc::driver::DriverError;
use cudarc::{cublaslt, driver, nccl, nvrtc};
use serde::Serialize;

/// One of the libraries.
#[derive(Clone, Debug, Serialize)]
pub struct Library {
    /// What it is called.
    pub name: &'static str,
    /// Where it was found; nothing if it was not.
    pub path: Option<String>,
    /// Its version, if it was found and says it.
    pub version: Option<String>,
    /// What to install, if it was not found.
    pub install: &'static str,
}

/// A GPU, as the driver describes it.
#[derive(Clone, Debug, Serialize)]
pub struct GpuInfo {
    /// Its name.
    pub name: String,
    /// What tells it from all others, in hexadecimal digits.
    pub uuid: String,
    /// Compute capability, such as `9.0`.
    pub compute_capability: String,
    /// Bytes of memory.
    pub memory_bytes: usize,
    /// What the engine lacks on it; nothing if it can be used.
    pub problem: Option<String>,
}

/// Everything that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Driver, cuBLASLt and NVRTC.
    pub libraries: Vec<Library>,
    /// NCCL, which only the GPUs of several processes need.
    pub nccl: Library,
    /// The GPUs, if there is a driver.
    pub gpus: Vec<GpuInfo>,
    /// Why `--device cuda` would fail; nothing if it would not.
    pub problem: Option<String>,
}

const DRIVER: &str = "the NVIDIA driver (580 or newer for CUDA 13, 570 or newer for CUDA 12): nvidia.com/drivers";
const CUBLASLT: &str = "cuBLAS of CUDA 12 or 13: the CUDA toolkit, or: pip install nvidia-cublas";
const NCCL: &str = "NCCL 2.18 or newer of the same CUDA: libnccl2, or: pip install nvidia-nccl-cu13 (or -cu12)";
const NVRTC: &str = "NVRTC of CUDA 12 or 13: the CUDA toolkit, or: pip install nvidia-cuda-nvrtc";

/// Looks for the libraries, also in `folders`, and keeps those loaded that are found there.
pub fn find(folders: &[PathBuf]) -> Report {
    // SAFETY: loading a library of NVIDIA's runs its initializers, which is what using it means.
    let present = unsafe {
        [
            driver::sys::is_culib_present() || {
                preload(folders, &["cuda"]);
                driver::sys::is_culib_present()
            },
            cublaslt::sys::is_culib_present() || {
                preload(folders, &["cublasLt"]);
                cublaslt::sys::is_culib_present()
            },
            nvrtc::sys::is_culib_present() || {
                // NVRTC opens its builtins by name, when it first compiles.
                preload(folders, &["nvrtc-builtins", "nvrtc"]);
                nvrtc::sys::is_culib_present()
            },
        ]
    };
    // SAFETY: these calls need nothing but their library, which is there.
    let versions: [&dyn Fn() -> Option<String>; 3] = unsafe {
        [
            &|| {
                let mut version = 0;
                driver::sys::cuDriverGetVersion(&mut version).result().ok()?;
                Some(format!("CUDA {}.{}", version / 1000, version % 1000 / 10))
            },
            &|| {
                let version = cublaslt::sys::cublasLtGetVersion();
                // 12.9.1 is 120901, and so is 13.0.1 130001.
                Some(format!("{}.{}.{}", version / 10_000, version / 100 % 100, version % 100))
            },
            &|| {
                let (mut major, mut minor) = (0, 0);
                nvrtc::sys::nvrtcVersion(&mut major, &mut minor).result().ok()?;
                Some(format!("{major}.{minor}"))
            },
        ]
    };
    let names =
        [("driver", "libcuda.so", DRIVER), ("cublasLt", "libcublasLt.so", CUBLASLT), ("nvrtc", "libnvrtc.so", NVRTC)];
    let libraries: Vec<Library> = (0..3)
        .map(|i| {
            let (name, file, install) = names[i];
            Library {
                name,
                path: present[i].then(|| loaded_from(file).unwrap_or_else(|| "the system's search path".into())),
                version: if present[i] { versions[i]() } else { None },
                install,
            }
        })
        .collect();
    let driver = if present[0] { new_enough().and_then(|()| gpus()) } else { Ok(Vec::new()) };
    let (gpus, driver_problem) = driver.map_or_else(|problem| (Vec::new(), Some(problem)), |gpus| (gpus, None));
    let missing = libraries.iter().find(|l| l.path.is_none());
    let problem = match (missing, driver_problem, gpus.first()) {
        (Some(library), ..) => Some(format!("{} was not found", library.name)),
        (_, Some(problem), _) => Some(problem),
        (_, _, None) => Some("the driver sees no GPU".into()),
        (_, _, Some(gpu)) => gpu.problem.clone(),
    };
    Report { libraries, nccl: find_nccl(folders), gpus, problem }
}

/// Looks for NCCL, also in `folders`, and keeps it loaded if it is found there.
pub fn find_nccl(folders: &[PathBuf]) -> Library {
    // SAFETY: as in `find`.
    let is_there = unsafe {
        nccl::sys::is_culib_present() || {
            preload(folders, &["nccl"]);
            nccl::sys::is_culib_present()
        }
    };
    let version = || {
        let mut version = 0;
        // SAFETY: the library is there.
        let found = unsafe { nccl::sys::ncclGetVersion(&mut version) };
        // 2.27.5 is 22705.
        let said = format!("{}.{}.{}", version / 10_000, version / 100 % 100, version % 100);
        (found == nccl::sys::ncclResult_t::ncclSuccess).then_some(said)
    };
    Library {
        name: "nccl",
        path: is_there.then(|| loaded_from("libnccl.so").unwrap_or_else(|| "the system's search path".into())),
        version: if is_there { version() } else { None },
        install: NCCL,
    }
}

/// Bytes of the current GPU's memory that are in use by anyone; nothing where no engine is open on one.
pub fn memory_in_use() -> Option<usize> {
    // SAFETY: looking for the driver.
    let (free, total) = unsafe { driver::sys::is_culib_present() }.then(driver::result::mem_get_info)?.ok()?;
    Some(total - free)
}

/// Whether the driver has what the engine calls. cudarc panics at the first call of what it lacks; this is the newest.
fn new_enough() -> Result<(), String> {
    const NEWEST: &CStr = c"cuEventElapsedTime_v2";
    // SAFETY: the library is there; a symbol is looked for and not used.
    let found = unsafe { driver::sys::culib().get::<*const ()>(NEWEST.to_bytes_with_nul()) };
    found
        .map(|_| ())
        .map_err(|_| format!("the driver is too old: it lacks {}; install {DRIVER}", NEWEST.to_string_lossy()))
}

/// The GPUs, or why the driver does not tell.
fn gpus() -> Result<Vec<GpuInfo>, String> {
    let count = driver::result::init()
        .and_then(|()| driver::result::device::get_count())
        .map_err(|error| format!("the driver does not start: {error:?}"))?;
    let describe = |ordinal| -> Result<GpuInfo, DriverError> {
        use driver::sys::CUdevice_attribute as Attribute;
        let device = driver::result::device::get(ordinal)?;
        // SAFETY: `device` comes from the driver.
        let (major, minor, memory_bytes) = unsafe {
            (
                driver::result::device::get_attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
                driver::result::device::get_attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
                driver::result::device::total_mem(device)?,
            )
        };
        let name = driver::result::device::get_name(device)?;
        let uuid = driver::result::device::get_uuid(device)?;
        let uuid = uuid.bytes.iter().map(|&byte| format!("{:02x}", byte as u8)).collect();
        let problem = (major < 8).then(|| format!("{name} has compute capability {major}.{minor}, but 8.0 is needed"));
        Ok(GpuInfo { name, uuid, compute_capability: format!("{major}.{minor}"), memory_bytes, problem })
    };
    let gpus: Result<_, DriverError> = (0..count).map(describe).collect();
    gpus.map_err(|error| format!("the driver does not describe its GPUs: {error:?}"))
}

/// Loads, for good, the first library of each name that lies in one of the folders.
fn preload(folders: &[PathBuf], names: &[&str]) {
    static LOADED: Mutex<Vec<libloading::Library>> = Mutex::new(Vec::new());
    for name in names {
        let library = folders.iter().filter_map(|folder| library_in(folder, name)).find_map(|path| open(&path));
        if let (Some(library), Ok(mut loaded)) = (library, LOADED.lock()) {
            loaded.push(library);
        }
    }
}

/// The file in `folder` that is the library `name`, without its version.
fn library_in(folder: &Path, name: &str) -> Option<PathBuf> {
    let unix = format!("lib{name}.so");
    let windows = format!("{name}64_");
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let file = path.file_name().and_then(|f| f.to_str()).unwrap_or_default();
            file.strip_prefix(&unix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                || (file.starts_with(&windows) && file.ends_with(".dll"))
        })
        .collect();
    found.sort();
    found.pop()
}

#[cfg(unix)]
fn open(path: &Path) -> Option<libloading::Library> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: as in `find`.
    unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) }.ok().map(Into::into)
}

#[cfg(not(unix))]
fn open(path: &Path) -> Option<libloading::Library> {
    // SAFETY: as in `find`.
    unsafe { libloading::Library::new(path) }.ok()
}

/// The path of a loaded library, where the system tells.
fn loaded_from(file: &str) -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let path = |line: &str| line.find('/').map(|at| line[at..].to_string());
    maps.lines().filter_map(path).find(|p| p.rsplit('/').next().is_some_and(|f| f.starts_with(file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn library_in_takes_the_newest_version_and_no_other_name() {
        let folder = std::env::temp_dir().join(format!("cloze-libraries-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for file in ["libnvrtc.so.12", "libnvrtc.so.13", "libnvrtc-builtins.so.13.0", "libnvrtc.alt.so.13", "readme"] {
            std::fs::write(folder.join(file), "").unwrap();
        }
        assert_eq!(library_in(&folder, "nvrtc"), Some(folder.join("libnvrtc.so.13")));
        assert_eq!(library_in(&folder, "nvrtc-builtins"), Some(folder.join("libnvrtc-builtins.so.13.0")));
        assert_eq!(library_in(&folder, "cublasLt"), None);
        assert_eq!(library_in(&folder.join("absent"), "nvrtc"), None);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn find_says_what_is_missing_and_never_panics() {
        let report = find(&[PathBuf::from("/nowhere")]);
        assert_eq!(report.libraries.iter().map(|l| l.name).collect::<Vec<_>>(), ["driver", "cublasLt", "nvrtc"]);
        let missing = report.libraries.iter().any(|l| l.path.is_none());
        assert!(!missing || report.problem.as_ref().is_some_and(|p| p.ends_with("was not found")), "{report:?}");
    }
}
