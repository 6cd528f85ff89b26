//! Compares the public API of Tokio with that of the crate over heist, by rustdoc's JSON.
//!
//! `compat/tokio-names` makes the JSON and runs this program. A fact is a path, a number of
//! parameters, or an implementation of a trait. Each fact of Tokio's must hold for the crate over
//! heist, unless the list of absent ones has it.
//!
//! With `api` as its first argument, it checks heist's own public API: against the listing that is
//! kept in the repository, and the auto traits of its types against those of Tokio's.

mod api;
mod checks;
mod render;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::process::ExitCode;

use serde_json::Value;

const USAGE: &str = "usage: tokio_names TOKIO.json FACADE.json HEIST.json ABSENT\n       \
    tokio_names api HEIST.json HEIST_WITH_FEATURES_OF_DEPENDENCIES.json TOKIO.json LISTING DIFFERENCES";

/// The list of absent facts may not be longer.
const MOST_ABSENT: usize = 10;

/// Tokio has more. If fewer are found, the JSON has another format than this program expects.
const FEWEST_FACTS: usize = 3_000;

/// Traits that the compiler implements by itself.
const AUTO: [&str; 5] = ["Send", "Sync", "Unpin", "UnwindSafe", "RefUnwindSafe"];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["api", heist, other, tokio, listing, differences] => checks::check(heist, other, tokio, listing, differences),
        [tokio, facade, heist, absent] => compare(tokio, facade, heist, absent),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(tokio: &str, facade: &str, heist: &str, absent: &str) -> Result<String, String> {
    let expected = Facts::of(&[Crate::read(tokio)?]);
    let got = Facts::of(&[Crate::read(facade)?, Crate::read(heist)?]);
    let listed = read_list(&std::fs::read_to_string(absent).map_err(|error| format!("{absent}: {error}"))?)?;
    if expected.count() < FEWEST_FACTS {
        let count = expected.count();
        return Err(format!("only {count} facts of Tokio's API were found: rustdoc's JSON has an unknown format"));
    }
    let missing = expected.missing_in(&got);
    let unlisted: Vec<_> = missing.iter().filter(|fact| !listed.contains(*fact)).collect();
    let stale: Vec<_> = listed.iter().filter(|fact| !missing.contains(*fact)).collect();
    if unlisted.is_empty() && stale.is_empty() {
        let hold = expected.count() - missing.len();
        return Ok(format!("{hold} facts of Tokio's API hold for the crate over heist, {} do not", missing.len()));
    }
    let lines = |facts: &[&String]| facts.iter().map(|fact| format!("\n  {fact}")).collect::<String>();
    let mut error = String::new();
    if !unlisted.is_empty() {
        error += &format!("absent from the crate over heist, and not in {absent}:{}\n", lines(&unlisted));
    }
    if !stale.is_empty() {
        error += &format!("in {absent}, but not absent:{}\n", lines(&stale));
    }
    Err(error)
}

/// Reads lines of the form `fact | reason`.
fn read_list(text: &str) -> Result<BTreeSet<String>, String> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let facts = lines.map(|line| match line.split_once(" | ") {
        Some((fact, reason)) if !reason.trim().is_empty() => Ok(fact.trim().to_owned()),
        _ => Err(format!("the list of absent names has a line without a reason: {line}")),
    });
    let facts: BTreeSet<_> = facts.collect::<Result<_, _>>()?;
    if facts.len() <= MOST_ABSENT {
        Ok(facts)
    } else {
        Err(format!("the list of absent names has {} entries; {MOST_ABSENT} are allowed", facts.len()))
    }
}

/// rustdoc's JSON of one crate.
struct Crate {
    document: Value,
    /// The items, by the path of their definition.
    by_path: HashMap<String, String>,
}

impl Crate {
    fn read(path: &str) -> Result<Self, String> {
        let text = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
        let document: Value = serde_json::from_slice(&text).map_err(|error| format!("{path}: {error}"))?;
        let mut by_path = HashMap::new();
        for (id, summary) in document["paths"].as_object().ok_or(format!("{path} is not rustdoc's JSON"))? {
            if summary["crate_id"] == 0 {
                by_path.insert(path_of(summary), id.clone());
            }
        }
        Ok(Self { document, by_path })
    }

    fn item(&self, id: &Value) -> Option<&Value> {
        self.document["index"].get(id.to_string())
    }
}

fn path_of(summary: &Value) -> String {
    let parts = summary["path"].as_array().into_iter().flatten().filter_map(Value::as_str);
    format!("{} {}", parts.collect::<Vec<_>>().join("::"), summary["kind"].as_str().unwrap_or_default())
}

/// How much an implementation of an auto trait says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Auto {
    /// If type parameters have bounds.
    Conditional,
    Always,
}

/// What is known of an API.
#[derive(Default)]
struct Facts {
    plain: BTreeSet<String>,
    auto: BTreeMap<String, Auto>,
}

impl Facts {
    /// Returns the facts of the first crate, which may have items of the others.
    fn of(crates: &[Crate]) -> Self {
        let mut facts = Self::default();
        let root = &crates[0];
        if let Some(module) = root.item(&root.document["root"]) {
            Walk { crates, facts: &mut facts }.module(root, module, "tokio", &mut Vec::new());
        }
        for of in crates {
            facts.add_foreign(of);
        }
        facts
    }

    fn count(&self) -> usize {
        self.plain.len() + self.auto.len()
    }

    fn missing_in(&self, other: &Self) -> BTreeSet<String> {
        let plain = self.plain.difference(&other.plain).cloned();
        let auto = self.auto.iter().filter(|(fact, auto)| other.auto.get(*fact).is_none_or(|other| other < *auto));
        plain.chain(auto.map(|(fact, _)| fact.clone())).collect()
    }

    /// Adds the implementations for types of other crates.
    fn add_foreign(&mut self, of: &Crate) {
        for item in of.document["index"].as_object().into_iter().flat_map(|index| index.values()) {
            let implementation = &item["inner"]["impl"];
            let is_plain = item["crate_id"] == 0 && implementation["blanket_impl"].is_null();
            let name = trait_name(implementation);
            if let (true, Some(name)) = (is_plain && implementation["is_synthetic"] == false, name) {
                let id = &implementation["for"]["resolved_path"]["id"];
                if of.item(id).is_none_or(|item| item["crate_id"] != 0) {
                    self.plain.insert(format!("impl {name} for {}", type_name(&implementation["for"])));
                }
            }
        }
    }
}

/// Collects the facts of modules, from the root on.
struct Walk<'a> {
    crates: &'a [Crate],
    facts: &'a mut Facts,
}

impl<'a> Walk<'a> {
    fn module(&mut self, of: &'a Crate, module: &'a Value, path: &str, above: &mut Vec<&'a Value>) {
        // A module may re-export one that it is in.
        if above.iter().any(|other| std::ptr::eq(*other, module)) {
            return;
        }
        above.push(module);
        for id in module["inner"]["module"]["items"].as_array().into_iter().flatten() {
            if let Some(item) = of.item(id).filter(|item| item["visibility"] == "public" || is_macro(item)) {
                self.named(of, item, item["name"].as_str().unwrap_or_default(), path, above);
            }
        }
        above.pop();
    }

    /// Adds an item of a module under a name, which a re-export may have given it.
    fn named(&mut self, of: &'a Crate, item: &'a Value, name: &str, path: &str, above: &mut Vec<&'a Value>) {
        let import = &item["inner"]["use"];
        if import.is_null() {
            let path = format!("{path}::{name}");
            if item["inner"].get("module").is_some() {
                self.facts.plain.insert(path.clone());
                return self.module(of, item, &path, above);
            }
            return self.item(of, item, &path);
        }
        let target = self.resolve(of, &import["id"]);
        let name = import["name"].as_str().unwrap_or_default();
        match target {
            Some((of, target)) if import["is_glob"] == true => self.module(of, target, path, above),
            Some((of, target)) => self.named(of, target, name, path, above),
            // An item of std's, or of a crate that is not compared.
            None => _ = self.facts.plain.insert(format!("{path}::{name}")),
        }
    }

    /// Returns the item, and the crate that defines it.
    fn resolve(&self, of: &'a Crate, id: &Value) -> Option<(&'a Crate, &'a Value)> {
        if let Some(item) = of.item(id).filter(|item| item["crate_id"] == 0) {
            return Some((of, item));
        }
        let path = path_of(of.document["paths"].get(id.to_string())?);
        self.crates.iter().find_map(|other| {
            let item = other.document["index"].get(other.by_path.get(&path)?)?;
            Some((other, item))
        })
    }

    fn item(&mut self, of: &'a Crate, item: &'a Value, path: &str) {
        self.facts.plain.insert(path.to_owned());
        let Some((kind, inner)) = item["inner"].as_object().and_then(|inner| inner.iter().next()) else { return };
        self.parameters(kind, inner, path);
        for key in ["variants", "items"] {
            self.members(of, &inner[key], path, key == "items");
        }
        self.members(of, &inner["kind"]["plain"]["fields"], path, false);
        for id in inner["impls"].as_array().into_iter().flatten() {
            if let Some(item) = of.item(id) {
                self.implementation(of, &item["inner"]["impl"], path);
            }
        }
    }

    /// Adds variants, fields, or items of a trait or of a type. Those of a trait are always public.
    fn members(&mut self, of: &'a Crate, ids: &Value, path: &str, must_be_shown: bool) {
        for id in ids.as_array().into_iter().flatten() {
            let Some(item) = of.item(id) else { continue };
            let is_shown = item["visibility"] == "public" || item["visibility"] == "default";
            if let (Some(name), true) = (item["name"].as_str(), is_shown || !must_be_shown) {
                self.item(of, item, &format!("{path}::{name}"));
            }
        }
    }

    /// Adds how many parameters a caller may have to write.
    fn parameters(&mut self, kind: &str, inner: &Value, path: &str) {
        let generic = inner["generics"]["params"].as_array();
        let generic = generic.into_iter().flatten().filter(|parameter| {
            parameter["kind"]["type"]["is_synthetic"] == false || parameter["kind"].get("const").is_some()
        });
        let generic = generic.count();
        if kind == "function" {
            let values = inner["sig"]["inputs"].as_array().map_or(0, Vec::len);
            self.facts.plain.insert(format!("{path} has {generic} type parameters and {values} arguments"));
            if inner["header"]["is_const"] == true {
                self.facts.plain.insert(format!("{path} is const"));
            }
        } else if generic > 0 {
            self.facts.plain.insert(format!("{path} has {generic} type parameters"));
        }
    }

    fn implementation(&mut self, of: &'a Crate, implementation: &'a Value, path: &str) {
        let Some(name) = trait_name(implementation) else {
            return self.members(of, &implementation["items"], path, true);
        };
        if implementation["is_negative"] == true || !implementation["blanket_impl"].is_null() {
            return;
        }
        if !AUTO.contains(&name.as_str()) {
            // Programs cannot use `Drop`, nor the compiler's own traits, as `Freeze`.
            if implementation["is_synthetic"] == false && name != "Drop" {
                self.facts.plain.insert(format!("{path}: {name}"));
            }
            return;
        }
        let auto = if is_conditional(&implementation["generics"]) { Auto::Conditional } else { Auto::Always };
        let known = self.facts.auto.entry(format!("{path}: {name}")).or_insert(auto);
        *known = auto.max(*known);
    }
}

fn is_macro(item: &Value) -> bool {
    item["inner"].get("macro").is_some() || item["inner"].get("proc_macro").is_some()
}

/// Returns true if the parameters of an implementation have bounds, other than lifetimes and `?Sized`.
fn is_conditional(generics: &Value) -> bool {
    let bounds = |value: &Value| {
        let bounds = value["bounds"].as_array().into_iter().flatten();
        bounds.clone().any(|bound| bound["trait_bound"]["modifier"] == "none")
    };
    let parameters = generics["params"].as_array().into_iter().flatten();
    let clauses = generics["where_predicates"].as_array().into_iter().flatten();
    parameters.clone().any(|parameter| bounds(&parameter["kind"]["type"]))
        || clauses.clone().any(|clause| bounds(&clause["bound_predicate"]))
}

/// Returns the trait of an implementation, with its arguments, unless it is an inherent one.
fn trait_name(implementation: &Value) -> Option<String> {
    let path = implementation.get("trait")?;
    (!path.is_null()).then(|| resolved_name(path))
}

fn resolved_name(path: &Value) -> String {
    let name = path["path"].as_str().or(path["name"].as_str()).unwrap_or_default();
    let name = name.rsplit("::").next().unwrap_or_default();
    let arguments = path["args"]["angle_bracketed"]["args"].as_array().into_iter().flatten();
    let arguments: Vec<_> = arguments.filter_map(|argument| argument.get("type")).map(type_name).collect();
    if arguments.is_empty() { name.to_owned() } else { format!("{name}<{}>", arguments.join(", ")) }
}

/// Returns a type as text. Parameters have no names, since a caller does not write them.
fn type_name(of: &Value) -> String {
    let Some((kind, inner)) = of.as_object().and_then(|of| of.iter().next()) else { return "_".to_owned() };
    match kind.as_str() {
        "resolved_path" => resolved_name(inner),
        "primitive" => inner.as_str().unwrap_or_default().to_owned(),
        "borrowed_ref" => format!("&{}", type_name(&inner["type"])),
        "slice" => format!("[{}]", type_name(inner)),
        "array" => format!("[{}; _]", type_name(&inner["type"])),
        "tuple" => {
            format!("({})", inner.as_array().into_iter().flatten().map(type_name).collect::<Vec<_>>().join(", "))
        }
        _ => "_".to_owned(),
    }
}
