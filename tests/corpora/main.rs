//! A repetition of what the fuzzer found so far: every input in `crates/fuzz/corpus` and
//! `crates/fuzz/findings`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use integration_tests::fuzz_targets::TARGETS;

#[test]
fn every_kept_input_keeps_the_laws() {
    let mut failed = Vec::new();
    for (target, body) in TARGETS {
        let (corpus, findings) = (inputs("corpus", target), inputs("findings", target));
        assert!(!corpus.is_empty(), "crates/fuzz/corpus/{target} is missing or empty");
        // Shown whether the test passes or not.
        let counts = format!("{target}: {} inputs, {} findings", corpus.len(), findings.len());
        _ = writeln!(io::stderr(), "{counts}");
        for path in corpus.iter().chain(&findings) {
            let input = fs::read(path).unwrap();
            if catch_unwind(|| body(&input)).is_err() {
                failed.push(path.clone());
            }
        }
    }
    assert!(failed.is_empty(), "laws are broken by {failed:#?}");
}

/// libFuzzer is needed to build the programs, and not to see that none is missing.
#[test]
fn every_target_has_its_program() {
    let names: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let stems = |folder: &Path| -> BTreeSet<_> {
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let sources = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
        sources.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(stems(&fuzz().join("fuzz_targets")), names);
    let bodies = stems(&Path::new(env!("CARGO_MANIFEST_DIR")).join("support/fuzz_targets"));
    assert_eq!(bodies, names.iter().cloned().chain(["mod".to_owned()]).collect());

    let manifest: toml::Table = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap().parse().unwrap();
    let programs = manifest["bin"].as_array().unwrap().iter().map(|program| {
        let (name, path) = (program["name"].as_str().unwrap(), program["path"].as_str().unwrap());
        assert_eq!(path, format!("fuzz_targets/{name}.rs"));
        let source = fs::read_to_string(fuzz().join(path)).unwrap();
        let body = format!("fuzz_target!(|data: &[u8]| integration_tests::fuzz_targets::{name}(data));");
        assert!(source.contains(&body), "{path} runs something else");
        name.to_owned()
    });
    assert_eq!(programs.collect::<BTreeSet<_>>(), names);
}

/// The files of a target, in their order; none if there is no folder.
fn inputs(kind: &str, target: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(fuzz().join(kind).join(target)) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("it is read").path()).collect();
    paths.sort();
    paths
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root").join("crates/fuzz")
}
