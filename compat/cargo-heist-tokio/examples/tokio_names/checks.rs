//! Checks heist's public API against the listing that is kept in the repository, and its auto
//! traits against Tokio's.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{Api, AutoTraits, auto_text};
use crate::{AUTO, Crate};

/// heist has more. If fewer are found, the JSON has another format than this program expects.
const FEWEST_LINES: usize = 1_000;

/// Types that have the same path in heist and in Tokio. There are more.
const FEWEST_COMMON: usize = 50;

const HEAD: &str = "\
# The public API of heist with all its features, in the words of rustdoc: items, signatures, implementations of
# traits, and the auto traits of each type. Written by `HEIST_UPDATE=1 compat/public-api`.
";

/// Checks the listing and the auto traits. Returns a summary, or all faults.
pub(crate) fn check(heist: &str, other: &str, tokio: &str, listing: &str, differences: &str) -> Result<String, String> {
    let api = Api::of(&Crate::read(heist)?, "heist");
    let (lines, types) = (api.lines.len(), api.auto.len());
    if lines < FEWEST_LINES {
        return Err(format!("only {lines} lines of heist's API were found: rustdoc's JSON has an unknown format"));
    }
    let mut faults = check_listing(&api, listing)?;
    faults.extend(check_features(&api.auto, &Api::of(&Crate::read(other)?, "heist").auto));
    let tokio = Api::of(&Crate::read(tokio)?, "tokio").auto;
    let common = types_in_common(&api.auto, &tokio);
    if common.len() < FEWEST_COMMON {
        return Err(format!("only {} types of heist have a namesake in Tokio", common.len()));
    }
    let listed = std::fs::read_to_string(differences).map_err(|error| format!("{differences}: {error}"))?;
    faults.extend(check_differences(&common, &listed, differences)?);
    if faults.is_empty() {
        Ok(format!(
            "{lines} lines of heist's API and the auto traits of {types} types, {} in common with Tokio",
            common.len()
        ))
    } else {
        Err(faults.join("\n"))
    }
}

/// Compares the listing with the file, which it writes if the environment says so.
fn check_listing(api: &Api, file: &str) -> Result<Vec<String>, String> {
    let text = format!("{HEAD}{}", api.text());
    if std::env::var_os("HEIST_UPDATE").is_some() {
        std::fs::write(file, &text).map_err(|error| format!("{file}: {error}"))?;
    }
    let known = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let (now, before): (BTreeSet<&str>, BTreeSet<&str>) = (text.lines().collect(), known.lines().collect());
    let marked = now.difference(&before).map(|line| format!("+ {line}"));
    let mut changes: Vec<String> = marked.chain(before.difference(&now).map(|line| format!("- {line}"))).collect();
    if !changes.is_empty() {
        changes.push(format!(
            "the public API is not that of {file}; if the change is meant, run `HEIST_UPDATE=1 compat/public-api`, and \
             describe it in CHANGELOG.md"
        ));
    }
    Ok(changes)
}

/// A feature of a dependency, which any crate of a program may enable, must change no auto trait.
fn check_features(plain: &AutoTraits, with_features: &AutoTraits) -> Vec<String> {
    let changed = plain.iter().filter(|(path, traits)| with_features.get(*path) != Some(traits));
    let text = |path: &str, traits: &AutoTraits| traits.get(path).map(auto_text).unwrap_or_default();
    changed
        .map(|(path, traits)| {
            let changed = text(path, with_features);
            format!(
                "{path}: {}; with other features of dependencies: {changed}. Implement the trait in heist, so that no \
                 dependency decides",
                auto_text(traits)
            )
        })
        .collect()
}

/// The auto traits of one type in heist and in Tokio.
type Pair<'a> = (&'a BTreeMap<String, String>, &'a BTreeMap<String, String>);

fn types_in_common<'a>(heist: &'a AutoTraits, tokio: &'a AutoTraits) -> BTreeMap<&'a str, Pair<'a>> {
    let pairs = heist.iter().filter_map(|(path, traits)| {
        let rest = path.strip_prefix("heist::")?;
        Some((rest, (traits, tokio.get(&format!("tokio::{rest}"))?)))
    });
    pairs.collect()
}

/// How much a type says of a trait: nothing, under a condition, or always.
fn strength(traits: &BTreeMap<String, String>, name: &str) -> u8 {
    traits.get(name).map_or(0, |condition| if condition.is_empty() { 2 } else { 1 })
}

/// Compares the auto traits with Tokio's. Each difference has to be listed, as `path: Trait |
/// heist: …, Tokio: … | reason`, and each listed one has to exist.
fn check_differences(common: &BTreeMap<&str, Pair<'_>>, listed: &str, file: &str) -> Result<Vec<String>, String> {
    const WORDS: [&str; 3] = ["never", "under a condition", "always"];
    let mut found = BTreeSet::new();
    for (path, (heist, tokio)) in common {
        for name in AUTO {
            let (here, there) = (strength(heist, name), strength(tokio, name));
            if here != there {
                let [here, there] = [here, there].map(|strength| WORDS[usize::from(strength)]);
                found.insert(format!("{path}: {name} | heist: {here}, Tokio: {there}"));
            }
        }
    }
    let mut known = BTreeSet::new();
    for line in listed.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.rsplit_once(" | ") {
            Some((difference, reason)) if !reason.trim().is_empty() => known.insert(difference.to_owned()),
            _ => return Err(format!("{file} has a line without a reason: {line}")),
        };
    }
    let unlisted = found.difference(&known).map(|line| format!("not in {file}: {line}"));
    let stale = known.difference(&found).map(|line| format!("in {file}, but not so: {line}"));
    Ok(unlisted.chain(stale).collect())
}
