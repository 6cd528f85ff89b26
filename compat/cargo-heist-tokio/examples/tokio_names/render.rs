//! Renders the types, bounds and signatures of rustdoc's JSON as text.

use serde_json::Value;

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn list(values: impl Iterator<Item = String>, between: &str) -> String {
    values.collect::<Vec<_>>().join(between)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Returns a path with its arguments, by the last name alone.
pub(crate) fn trait_of(path: &Value) -> String {
    let name = path["path"].as_str().or(path["name"].as_str()).unwrap_or_default();
    format!("{}{}", name.rsplit("::").next().unwrap_or_default(), arguments_of(&path["args"]))
}

fn arguments_of(arguments: &Value) -> String {
    let brackets = &arguments["angle_bracketed"];
    if !brackets.is_null() {
        let plain = array(&brackets["args"]).map(|argument| match argument.as_object() {
            Some(object) if object.contains_key("lifetime") => text(&argument["lifetime"]).to_owned(),
            Some(object) if object.contains_key("type") => type_of(&argument["type"]),
            Some(_) => text(&argument["const"]["expr"]).to_owned(),
            None => "_".to_owned(),
        });
        let bound = array(&brackets["constraints"]).map(|constraint| {
            let binding = &constraint["binding"];
            let name = text(&constraint["name"]);
            if binding["constraint"].is_null() {
                format!("{name} = {}", type_of(&binding["equality"]["type"]))
            } else {
                format!("{name}: {}", bounds_of(&binding["constraint"]))
            }
        });
        let all = list(plain.chain(bound), ", ");
        return if all.is_empty() { all } else { format!("<{all}>") };
    }
    let parentheses = &arguments["parenthesized"];
    if parentheses.is_null() {
        return String::new();
    }
    format!("({}){}", list(array(&parentheses["inputs"]).map(type_of), ", "), output_of(&parentheses["output"]))
}

fn output_of(output: &Value) -> String {
    if output.is_null() { String::new() } else { format!(" -> {}", type_of(output)) }
}

/// Returns a type as a program writes it.
pub(crate) fn type_of(of: &Value) -> String {
    let Some((kind, inner)) = of.as_object().and_then(|of| of.iter().next()) else { return "_".to_owned() };
    let mutable = |word: &'static str| if inner["is_mutable"] == true { "mut " } else { word };
    match kind.as_str() {
        "resolved_path" => trait_of(inner),
        "generic" | "primitive" => text(inner).to_owned(),
        "tuple" => format!("({})", list(array(inner).map(type_of), ", ")),
        "slice" => format!("[{}]", type_of(inner)),
        "array" => format!("[{}; {}]", type_of(&inner["type"]), text(&inner["len"])),
        "borrowed_ref" => {
            let lifetime = inner["lifetime"].as_str().map(|name| format!("{name} ")).unwrap_or_default();
            format!("&{lifetime}{}{}", mutable(""), type_of(&inner["type"]))
        }
        "raw_pointer" => format!("*{}{}", mutable("const "), type_of(&inner["type"])),
        "impl_trait" => format!("impl {}", bounds_of(inner)),
        "dyn_trait" => {
            let traits = array(&inner["traits"]).map(|bound| trait_of(&bound["trait"]));
            let lifetime = inner["lifetime"].as_str().map(str::to_owned);
            format!("dyn {}", list(traits.chain(lifetime), " + "))
        }
        "qualified_path" => {
            let of = type_of(&inner["self_type"]);
            let name = text(&inner["name"]);
            match trait_of(&inner["trait"]) {
                of_trait if of_trait.is_empty() => format!("{of}::{name}"),
                of_trait => format!("<{of} as {of_trait}>::{name}"),
            }
        }
        "function_pointer" => {
            let inputs = array(&inner["sig"]["inputs"]).map(|input| type_of(&input[1]));
            format!("fn({}){}", list(inputs, ", "), output_of(&inner["sig"]["output"]))
        }
        other => other.to_owned(),
    }
}

/// Returns bounds, joined by `+`.
pub(crate) fn bounds_of(bounds: &Value) -> String {
    let one = |bound: &Value| {
        let of_trait = &bound["trait_bound"];
        if !of_trait.is_null() {
            let maybe = if of_trait["modifier"] == "maybe" { "?" } else { "" };
            return format!("{maybe}{}", trait_of(&of_trait["trait"]));
        }
        bound["outlives"].as_str().unwrap_or("use<..>").to_owned()
    };
    list(array(bounds).map(one), " + ")
}

/// Returns the parameters of an item with their bounds. Those of `impl Trait` are not written.
pub(crate) fn generics_of(generics: &Value) -> String {
    let parameter = |parameter: &Value| {
        let (name, kind) = (text(&parameter["name"]), &parameter["kind"]);
        if kind["type"]["is_synthetic"] == true {
            return None;
        }
        let bounds = bounds_of(&kind["type"]["bounds"]);
        let default = &kind["type"]["default"];
        let default = if default.is_null() { String::new() } else { format!(" = {}", type_of(default)) };
        let bounds = if bounds.is_empty() { bounds } else { format!(": {bounds}") };
        let constant = if kind.get("const").is_some() { "const " } else { "" };
        Some(format!("{constant}{name}{bounds}{default}"))
    };
    let all = list(array(&generics["params"]).filter_map(parameter), ", ");
    let clauses = clauses_of(generics);
    let all = if all.is_empty() { all } else { format!("<{all}>") };
    if clauses.is_empty() { all } else { format!("{all} where {clauses}") }
}

fn clauses_of(generics: &Value) -> String {
    let clause = |clause: &Value| {
        let of_type = &clause["bound_predicate"];
        if of_type.is_null() {
            let of_lifetime = &clause["lifetime_predicate"];
            let outlives = list(array(&of_lifetime["outlives"]).map(|name| text(name).to_owned()), " + ");
            return format!("{}: {outlives}", text(&of_lifetime["lifetime"]));
        }
        format!("{}: {}", type_of(&of_type["type"]), bounds_of(&of_type["bounds"]))
    };
    list(array(&generics["where_predicates"]).map(clause), ", ")
}

/// Returns the conditions of an implementation: the bounds of its parameters and its clauses.
pub(crate) fn where_of(generics: &Value) -> String {
    let bound = |parameter: &Value| {
        let bounds = bounds_of(&parameter["kind"]["type"]["bounds"]);
        (!bounds.is_empty()).then(|| format!("{}: {bounds}", text(&parameter["name"])))
    };
    let clauses = clauses_of(generics);
    let clauses = (!clauses.is_empty()).then_some(clauses);
    list(array(&generics["params"]).filter_map(bound).chain(clauses), ", ")
}

/// Returns the declaration of a function.
pub(crate) fn signature(function: &Value, path: &str) -> String {
    let header = &function["header"];
    let word = |key: &str, word: &'static str| if header[key] == true { word } else { "" };
    let words = [word("is_const", "const "), word("is_async", "async "), word("is_unsafe", "unsafe ")].concat();
    let input = |input: &Value| {
        let (name, of) = (text(&input[0]), type_of(&input[1]));
        match (name, of.as_str()) {
            ("self", "Self") => name.to_owned(),
            ("self", "&Self") => "&self".to_owned(),
            ("self", "&mut Self") => "&mut self".to_owned(),
            _ => format!("{name}: {of}"),
        }
    };
    let inputs = list(array(&function["sig"]["inputs"]).map(input), ", ");
    let output = output_of(&function["sig"]["output"]);
    let generics = generics_of(&function["generics"]);
    let (parameters, clauses) = match generics.split_once(" where ") {
        Some((parameters, clauses)) => (parameters.to_owned(), format!(" where {clauses}")),
        None => (generics, String::new()),
    };
    format!("{words}fn {path}{parameters}({inputs}){output}{clauses}")
}
