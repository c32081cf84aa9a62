//! Where an MPI library is. It has to be the one of the launcher: another one makes each process believe that it is alone.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::table::Table;
use crate::error::{Code, Error, Result};

/// What to look for. The caller knows the launcher, and reads the environment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// A library to take, whatever else there is.
    #[serde(default)]
    pub library: Option<PathBuf>,
    /// File names, the likeliest first.
    pub names: Vec<String>,
    /// Folders that may have them, before those of the system.
    #[serde(default)]
    pub folders: Vec<PathBuf>,
}

/// A library.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// As it is opened: a path, or a name that the system finds.
    pub path: PathBuf,
    /// Which binary interface it has.
    pub interface: &'static str,
    /// What it calls itself.
    pub version: String,
}

/// The first library that can be opened.
///
/// # Errors
/// `Unsupported` if there is none.
pub fn find(search: &Search) -> Result<Found> {
    if let Some(path) = &search.library {
        return look(path);
    }
    let folders: Vec<_> = launcher_folders().into_iter().chain(search.folders.iter().cloned()).collect();
    for name in &search.names {
        let there = folders.iter().map(|folder| folder.join(name)).filter(|path| path.is_file());
        if let Some(found) = there.chain([PathBuf::from(name)]).find_map(|path| look(&path).ok()) {
            return Ok(found);
        }
    }
    Err(Error::new(Code::Unsupported, format!("no MPI library was found: looked for {}", search.names.join(", "))))
}

/// Every library of these names that the system or the folders have, for a report.
pub fn all(search: &Search) -> Vec<Found> {
    let names = search.names.iter().map(|name| Search { names: vec![name.clone()], ..search.clone() });
    names.filter_map(|search| find(&search).ok()).collect()
}

fn look(path: &Path) -> Result<Found> {
    let table = Table::open(path, false)?;
    Ok(Found { path: path.into(), interface: table.interface.name(), version: table.version() })
}

/// Folders beside those of the launchers among this process's ancestors: `bin/mpiexec` has its library in `lib`.
fn launcher_folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let mut process = std::process::id();
    for _ in 0..8 {
        let Some(parent) = parent_of(process) else { break };
        process = parent;
        let Ok(program) = std::fs::read_link(format!("/proc/{process}/exe")) else { continue };
        let name = program.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_launcher = ["mpi", "hydra", "orte", "prte"].iter().any(|part| name.contains(part));
        if let (true, Some(home)) = (is_launcher, program.parent().and_then(Path::parent)) {
            folders.extend(["lib", "lib64"].map(|lib| home.join(lib)));
        }
    }
    folders
}

/// The parent of a process, where there is `/proc`.
fn parent_of(process: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()?;
    (parent > 1).then_some(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn find_says_what_it_looked_for_and_refuses_what_is_no_mpi() {
        let search = Search { names: vec!["libnothing-of-this-name.so.1".into()], ..Search::default() };
        let error = find(&search).unwrap_err();
        assert!(error.code == Code::Unsupported && error.message.contains("libnothing-of-this-name"), "{error}");
        let file = std::env::temp_dir().join(format!("cloze-no-mpi-{}", std::process::id()));
        std::fs::write(&file, "no library").unwrap();
        let error = find(&Search { library: Some(file.clone()), ..Search::default() }).unwrap_err();
        assert!(error.message.contains("cannot be used"), "{error}");
        std::fs::remove_file(file).unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn find_takes_no_library_that_is_another() {
        let search = Search { library: Some("libm.so.6".into()), ..Search::default() };
        let error = find(&search).unwrap_err();
        assert!(error.message.contains("lacks MPI_"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn parent_of_is_none_at_the_end() {
        assert!(parent_of(std::process::id()).is_some() || std::process::id() == 1);
        assert_eq!(parent_of(1), None);
    }
}
