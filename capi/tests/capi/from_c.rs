//! A program in C gets from the interface what the header says.
//!
//! Method: compile `smoke.c` with the system's C compiler against the header and the built library,
//! run it, and compare each line that it prints.

#![expect(clippy::unwrap_used, reason = "a failure of the tools is a failure of the test")]
#![expect(clippy::disallowed_methods, reason = "a source for the compiler, as no store writes it")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use onceward_capi::{
    Bytes, Counts, Event, ExchangeOptions, Header, Options, ReportCounts, Response, Work,
};

/// What the program prints, after the version and the sizes.
const EXPECTED: &str = include_str!("smoke.txt");

/// The folder of the library that cargo built for this test.
fn library_dir() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let dir = program.parent().unwrap().to_owned();
    let name =
        format!("{}onceward_capi{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    assert!(dir.join(&name).exists(), "{name} is not beside the test in {}", dir.display());
    dir
}

/// Runs a command that must succeed, and returns what it printed.
fn run(command: &mut Command) -> String {
    // Not a library that another build left elsewhere: the one that the program is linked with.
    let output = command.env_remove("LD_LIBRARY_PATH").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {}\n{told}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Compiles `source`, warnings being errors, and links it with `link`.
fn compile(source: &str, program: &Path, link: &[&OsStr]) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    run(Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-I"])
        .arg(here.join("include"))
        .arg(here.join("tests/capi").join(source))
        .args(link)
        .arg("-o")
        .arg(program));
}

/// Runs the program on a new store and compares what it prints.
fn answers_as_written(program: &Path, store: &Path) {
    let printed = run(Command::new(program).arg(store));
    let sizes = format!(
        "sizes {} {} {} {}\n",
        size_of::<Bytes>(),
        size_of::<Options>(),
        size_of::<Event>(),
        size_of::<Counts>()
    );
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!("version {version}, header {version}\n{sizes}{EXPECTED}");
    for (number, (found, wanted)) in (1..).zip(printed.lines().zip(expected.lines())) {
        assert_eq!(found, wanted, "line {number} of what the program printed:\n{printed}");
    }
    assert_eq!(printed, expected);
}

/// Compiles `source` and links it with the shared library.
fn compile_shared(source: &str, program: &Path) {
    let library = library_dir();
    let mut rpath = std::ffi::OsString::from("-Wl,-rpath,");
    rpath.push(&library);
    let link = ["-L".as_ref(), library.as_ref(), "-lonceward_capi".as_ref(), &*rpath];
    compile(source, program, &link);
}

#[test]
fn a_forked_child_is_refused_and_its_parent_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("fork");
    compile_shared("fork.c", &program);
    let mut run_it = Command::new(&program);
    let printed = run(run_it.arg(dir.path().join("one")).arg(dir.path().join("two")));
    assert_eq!(printed, include_str!("fork.txt"));
}

#[test]
fn a_program_linked_with_the_shared_library_gets_every_answer() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("smoke");
    compile_shared("smoke.c", &program);
    answers_as_written(&program, &dir.path().join("store"));
}

#[test]
fn a_host_in_c_drains_its_store_with_a_client_of_its_own_and_nothing_takes_effect_twice() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("exchange");
    compile_shared("exchange.c", &program);
    let printed = run(Command::new(&program).arg(dir.path().join("store")));
    let sizes = [
        size_of::<ExchangeOptions>(),
        size_of::<Header>(),
        size_of::<Work>(),
        size_of::<Response>(),
        size_of::<ReportCounts>(),
    ];
    let sizes = sizes.map(|size| size.to_string()).join(" ");
    assert_eq!(printed, format!("sizes {sizes}\n{}", include_str!("exchange.txt")));
}

#[test]
fn the_example_of_the_readme_compiles_and_captures() {
    let dir = tempfile::tempdir().unwrap();
    let readme = include_str!("../../../README.md");
    let example = readme.split("```c\n").nth(1).unwrap().split("```").next().unwrap();
    let (source, program) = (dir.path().join("example.c"), dir.path().join("example"));
    std::fs::write(&source, example).unwrap();
    compile_shared(source.to_str().unwrap(), &program);
    for _ in 0..2 {
        let printed = run(Command::new(&program).current_dir(dir.path()));
        assert_eq!(printed, "it survives a power cut from here on: print the receipt\n");
    }
}

// What the static library needs of the system is another list elsewhere.
#[cfg(target_os = "linux")]
#[test]
fn a_program_linked_with_the_static_library_gets_every_answer() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("smoke");
    let library = library_dir().join("libonceward_capi.a");
    let native = ["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"];
    let link: Vec<&OsStr> =
        std::iter::once(library.as_ref()).chain(native.iter().map(OsStr::new)).collect();
    compile("smoke.c", &program, &link);
    answers_as_written(&program, &dir.path().join("store"));
}
