//! Lists the public API of one crate: each item with its signature, its implementations of traits,
//! and its auto traits.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::render::{bounds_of, generics_of, signature, trait_of, type_of, where_of};
use crate::{AUTO, Crate, is_macro};

/// The auto traits of each public type, by path. A type has a trait always, or under a condition.
pub(crate) type AutoTraits = BTreeMap<String, BTreeMap<String, String>>;

/// The public API of a crate.
#[derive(Default)]
pub(crate) struct Api {
    /// One line for each item, member and implementation.
    pub(crate) lines: BTreeSet<String>,
    pub(crate) auto: AutoTraits,
}

impl Api {
    pub(crate) fn of(root: &Crate, name: &str) -> Self {
        let mut api = Self::default();
        if let Some(module) = root.item(&root.document["root"]) {
            Walk { root, api: &mut api }.module(module, name, &mut Vec::new());
        }
        api
    }

    /// Returns the listing, with the auto traits at the end of each type's lines.
    pub(crate) fn text(&self) -> String {
        let mut lines: Vec<String> = self.lines.iter().cloned().collect();
        lines.extend(self.auto.iter().map(|(path, traits)| format!("{path}: {}", auto_text(traits))));
        lines.sort_by_key(|line| sort_key(line));
        lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// Returns the auto traits as text. Absent ones are not named.
pub(crate) fn auto_text(traits: &BTreeMap<String, String>) -> String {
    let named = AUTO.iter().filter_map(|name| {
        let condition = traits.get(*name)?;
        Some(if condition.is_empty() { (*name).to_owned() } else { format!("{name} if {condition}") })
    });
    let named: Vec<_> = named.collect();
    if named.is_empty() { "no auto trait".to_owned() } else { named.join(", ") }
}

/// Sorts by path, so that the lines of one item stand together.
fn sort_key(line: &str) -> (String, String) {
    let path = line.split([' ', '(', '<', '!']).find(|word| word.contains("::")).unwrap_or(line);
    (path.trim_end_matches([':', ',']).to_owned(), line.to_owned())
}

struct Walk<'a, 'b> {
    root: &'a Crate,
    api: &'b mut Api,
}

impl<'a> Walk<'a, '_> {
    fn module(&mut self, module: &'a Value, path: &str, above: &mut Vec<&'a Value>) {
        // A module may re-export one that it is in.
        if above.iter().any(|other| std::ptr::eq(*other, module)) {
            return;
        }
        above.push(module);
        for id in array(&module["inner"]["module"]["items"]) {
            if let Some(item) = self.root.item(id).filter(|item| item["visibility"] == "public" || is_macro(item)) {
                self.named(item, item["name"].as_str().unwrap_or_default(), path, above);
            }
        }
        above.pop();
    }

    fn named(&mut self, item: &'a Value, name: &str, path: &str, above: &mut Vec<&'a Value>) {
        let import = &item["inner"]["use"];
        if import.is_null() {
            let path = format!("{path}::{name}");
            if item["inner"].get("module").is_some() {
                self.api.lines.insert(format!("mod {path}"));
                return self.module(item, &path, above);
            }
            return self.item(item, &path);
        }
        let name = import["name"].as_str().unwrap_or_default();
        match self.root.item(&import["id"]).filter(|item| item["crate_id"] == 0) {
            Some(target) if import["is_glob"] == true => self.module(target, path, above),
            Some(target) => self.named(target, name, path, above),
            None => {
                let source = import["source"].as_str().unwrap_or_default();
                self.api.lines.insert(format!("use {path}::{name} = {source}"));
            }
        }
    }

    fn item(&mut self, item: &'a Value, path: &str) {
        let Some((kind, inner)) = item["inner"].as_object().and_then(|inner| inner.iter().next()) else { return };
        self.api.lines.insert(head(kind, item, inner, path));
        match kind.as_str() {
            "struct" | "union" => {
                self.members(&inner["kind"]["plain"]["fields"], path, true);
                self.tuple(&inner["kind"]["tuple"], path);
            }
            "enum" => self.members(&inner["variants"], path, false),
            "variant" => {
                self.members(&inner["kind"]["struct"]["fields"], path, false);
                self.tuple(&inner["kind"]["tuple"], path);
            }
            "trait" => self.members(&inner["items"], path, false),
            _ => {}
        }
        if matches!(kind.as_str(), "struct" | "union" | "enum") {
            self.api.auto.entry(path.to_owned()).or_default();
            for id in array(&inner["impls"]) {
                if let Some(item) = self.root.item(id) {
                    self.implementation(&item["inner"]["impl"], path);
                }
            }
        }
    }

    /// Adds fields, variants, or items of a trait or of an implementation.
    fn members(&mut self, ids: &'a Value, path: &str, must_be_public: bool) {
        for item in array(ids).filter_map(|id| self.root.item(id)) {
            if let (Some(name), true) = (item["name"].as_str(), !must_be_public || item["visibility"] == "public") {
                self.item(item, &format!("{path}::{name}"));
            }
        }
    }

    /// Adds the public fields of a tuple, by number. A private one is `null`.
    fn tuple(&mut self, ids: &'a Value, path: &str) {
        for (number, id) in array(ids).enumerate() {
            if let Some(item) = self.root.item(id) {
                self.item(item, &format!("{path}::{number}"));
            }
        }
    }

    fn implementation(&mut self, implementation: &'a Value, path: &str) {
        if implementation["trait"].is_null() {
            return self.members(&implementation["items"], path, true);
        }
        let name = trait_of(&implementation["trait"]);
        if implementation["is_negative"] == true || !implementation["blanket_impl"].is_null() {
            return;
        }
        if AUTO.contains(&name.as_str()) {
            let condition = where_of(&implementation["generics"]);
            let known = self.api.auto.entry(path.to_owned()).or_default();
            known.insert(name, condition);
        } else if implementation["is_synthetic"] == false {
            let condition = where_of(&implementation["generics"]);
            let condition = if condition.is_empty() { condition } else { format!(" where {condition}") };
            self.api.lines.insert(format!("impl {path}: {name} for {}{condition}", type_of(&implementation["for"])));
        }
    }
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Returns the line of an item.
fn head(kind: &str, item: &Value, inner: &Value, path: &str) -> String {
    let line = match kind {
        "function" => return format!("{}{}", signature(inner, path), marks(item)),
        "struct" | "enum" | "union" | "trait" => {
            let bounds = bounds_of(&inner["bounds"]);
            let bounds = if bounds.is_empty() { bounds } else { format!(": {bounds}") };
            format!("{kind} {path}{}{bounds}", generics_of(&inner["generics"]))
        }
        "struct_field" => format!("field {path}: {}", type_of(inner)),
        "constant" | "static" | "assoc_const" => format!("const {path}: {}", type_of(&inner["type"])),
        "type_alias" => format!("type {path}{} = {}", generics_of(&inner["generics"]), type_of(&inner["type"])),
        "assoc_type" => format!("type {path}: {}", bounds_of(&inner["bounds"])),
        "macro" | "proc_macro" => format!("macro {path}!"),
        other => format!("{} {path}", other.replace('_', " ")),
    };
    format!("{}{}", line.trim_end_matches([':', ' ']), marks(item))
}

/// Returns the attributes that a caller notices.
fn marks(item: &Value) -> String {
    let text = item["attrs"].to_string();
    let known = ["non_exhaustive", "must_use", "deprecated"].into_iter().filter(|mark| text.contains(mark));
    let deprecated = (!item["deprecation"].is_null()).then_some("deprecated");
    let marks: BTreeSet<_> = known.chain(deprecated).collect();
    marks.into_iter().map(|mark| format!(" #[{mark}]")).collect()
}
