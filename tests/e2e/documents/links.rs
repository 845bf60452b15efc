//! Links from a document to a file or a heading.

use super::*;

#[test]
fn links_lead_to_files_and_headings() {
    let mut links = 0;
    for document in Document::all() {
        let folder = Path::new(&document.path).parent().expect("it is in a folder").to_owned();
        for target in targets(&document.text) {
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = match path {
                "" => PathBuf::from(&document.path),
                path => folder.join(path),
            };
            let file = root().join(&path);
            assert!(file.exists(), "{}: {target}", document.path);
            if !heading.is_empty() {
                let text = fs::read_to_string(&file).expect("a document");
                assert!(anchors(&text).any(|anchor| anchor == heading), "{}: {target}", document.path);
            }
            links += 1;
        }
    }
    assert!(links > 100, "{links}");
}

/// The index names every other document.
#[test]
fn the_index_is_complete() {
    let index = Document::read("docs/README.md");
    let targets: Vec<_> = targets(&index.text).collect();
    for document in Document::all() {
        if let Some(name) = document.path.strip_prefix("docs/").filter(|name| *name != "README.md") {
            assert!(targets.contains(&name), "{name}");
        }
    }
}

/// The targets of the links in `text` that stay in the repository.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    targets.filter(|target| !target.contains("://") && !target.contains(['\n', ' ']))
}

/// The names by which links lead to the headings of `text`, as GitHub and GitLab make them.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#'));
    headings.map(|heading| {
        let kept = heading
            .trim()
            .chars()
            .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
        kept.map(|letter| if letter == ' ' { '-' } else { letter.to_ascii_lowercase() }).collect()
    })
}
