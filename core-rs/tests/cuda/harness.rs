//! Runs trials and reports them as Rust's own harness does, with two differences that the tests of a device need: whether
//! a trial is skipped is decided when it runs, and the list of trials is made then, too. It is written here because the
//! packages that do this bring a feature of `syn` along that rebuilds most of what candle depends on.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A test with a name that was made at run time.
pub struct Trial {
    name: String,
    skipped: bool,
    run: Box<dyn FnOnce() + Send>,
}

impl Trial {
    /// A trial, or, where `lacking` says what this machine lacks, one that is skipped and says so.
    pub fn new(name: String, lacking: Option<&str>, run: impl FnOnce() + Send + 'static) -> Self {
        let name = match lacking {
            Some(what) => format!("{name} (skipped: {what})"),
            None => name,
        };
        Self { name, skipped: lacking.is_some(), run: Box::new(run) }
    }
}

/// The arguments of Rust's harness that are worth having here.
#[derive(Default)]
struct Arguments {
    filters: Vec<String>,
    skip: Vec<String>,
    exact: bool,
    list: bool,
    threads: Option<usize>,
}

impl Arguments {
    /// Reads them, or says what is wrong. What is printed is always shown, so `--nocapture` changes nothing.
    fn parse(given: impl Iterator<Item = String>) -> Result<Self, String> {
        // A value may also follow its flag behind a =.
        let mut given = given.flat_map(|argument| match argument.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => vec![flag.to_string(), value.to_string()],
            _ => vec![argument],
        });
        let mut arguments = Self::default();
        while let Some(argument) = given.next() {
            match argument.as_str() {
                "--exact" => arguments.exact = true,
                "--list" => arguments.list = true,
                "--nocapture" | "--no-capture" => {}
                "--skip" => arguments.skip.push(given.next().ok_or("--skip lacks a name")?),
                "--test-threads" => {
                    let threads = given.next().and_then(|text| text.parse().ok());
                    arguments.threads =
                        Some(threads.filter(|&n| n > 0).ok_or("--test-threads lacks a number above 0")?);
                }
                flag if flag.starts_with('-') => {
                    let known = "--exact, --list, --nocapture, --skip NAME, --test-threads N";
                    return Err(format!("unknown flag {flag}; there are {known}"));
                }
                _ => arguments.filters.push(argument),
            }
        }
        Ok(arguments)
    }

    fn takes(&self, name: &str) -> bool {
        let fits = |pattern: &String| if self.exact { name == pattern } else { name.contains(pattern) };
        (self.filters.is_empty() || self.filters.iter().any(fits)) && !self.skip.iter().any(fits)
    }
}

/// As bench/gpu/run.sh writes them, and as Rust's harness takes them.
pub fn flags_are_read() {
    for given in
        [["gpu::f32", "--skip", "::step::", "--test-threads=3"], ["--skip=::step::", "--test-threads", "3", "gpu::f32"]]
    {
        let found = Arguments::parse(given.into_iter().map(String::from)).unwrap();
        assert_eq!((found.threads, found.filters.len(), found.skip.len()), (Some(3), 1, 1), "{given:?}");
        assert!(found.takes("gpu::f32::rotary") && !found.takes("gpu::f32::step::probe"), "{given:?}");
    }
    assert!(Arguments::parse(["--threads=3".to_string()].into_iter()).is_err());
}

/// Runs the trials that the command line asks for, on several threads, and fails if one of them does.
pub fn run(trials: Vec<Trial>) -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("error: {message}");
            return ExitCode::from(2);
        }
    };
    let (trials, others): (Vec<_>, Vec<_>) = trials.into_iter().partition(|trial| arguments.takes(&trial.name));
    if arguments.list {
        for trial in trials {
            println!("{}: test", trial.name);
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} test{}", trials.len(), if trials.len() == 1 { "" } else { "s" });
    let (skipped, waiting): (Vec<_>, Vec<_>) = trials.into_iter().partition(|trial| trial.skipped);
    for trial in &skipped {
        println!("test {} ... ignored", trial.name);
    }
    let passed = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    let threads = arguments.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZeroUsize::get));
    let queue = Mutex::new(waiting.into_iter());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Some(Trial { name, run, .. }) = queue.lock().unwrap().next() else { break };
                    // What a trial broke is dropped with it.
                    if catch_unwind(AssertUnwindSafe(run)).is_ok() {
                        passed.fetch_add(1, Ordering::Relaxed);
                        println!("test {name} ... ok");
                    } else {
                        println!("test {name} ... FAILED");
                        failed.lock().unwrap().push(name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    if !failed.is_empty() {
        println!("\nfailures:\n    {}", failed.join("\n    "));
    }
    println!(
        "\ntest result: {}. {} passed; {} failed; {} ignored; 0 measured; {} filtered out\n",
        if failed.is_empty() { "ok" } else { "FAILED" },
        passed.into_inner(),
        failed.len(),
        skipped.len(),
        others.len(),
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(101) }
}
