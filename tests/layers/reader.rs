//! Reads Rust as far as the floors need it: names and punctuation, without comments, literals and
//! test-only code.

/// What stands behind the last token.
const END: &str = "<end>";

#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// A name, a piece of punctuation, or `""` for any literal.
    pub(crate) text: String,
    pub(crate) line: usize,
    /// In how many `mod name { }` of this file it lies.
    pub(crate) inline_depth: usize,
}

pub(crate) fn is_name(word: &str) -> bool {
    word.starts_with(|first: char| first == '_' || first.is_alphabetic())
}

/// Names and punctuation of a Rust source; comments are gone and literals are blank.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let (mut found, mut i, mut line) = (Vec::new(), 0, 1);
    while i < chars.len() {
        let start = i;
        let mut word = None;
        match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 || i >= chars.len() {
                        break;
                    }
                }
            }
            '"' => {
                i = string_end(&chars, i);
                word = Some(String::new());
            }
            '\'' if at(i + 1) == '\\' || at(i + 2) == '\'' => {
                i += if at(i + 1) == '\\' { 3 } else { 2 };
                while i < chars.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
                word = Some(String::new());
            }
            '\'' => {
                i += 1; // a lifetime: its name is no path
                while at(i) == '_' || at(i).is_alphanumeric() {
                    i += 1;
                }
            }
            c if c == '_' || c.is_alphanumeric() => {
                while at(i) == '_' || at(i).is_alphanumeric() {
                    i += 1;
                }
                let name: String = chars[start..i].iter().collect();
                let hashes = (i..).take_while(|&j| at(j) == '#').count();
                let raw = name.ends_with('r') && ["r", "br", "cr"].contains(&name.as_str());
                if raw && at(i + hashes) == '"' {
                    let close: String = format!("\"{}", "#".repeat(hashes));
                    let rest: String = chars[i + hashes + 1..].iter().collect();
                    let inside = rest.find(&close).map_or(rest.len(), |end| rest[..end].chars().count());
                    i += hashes + 1 + inside + close.len();
                    word = Some(String::new());
                } else if ["b", "c"].contains(&name.as_str()) && at(i) == '"' {
                    i = string_end(&chars, i);
                    word = Some(String::new());
                } else if name == "r" && hashes == 1 {
                    i += 1; // a raw name: the next token is the name
                } else {
                    word = Some(if is_name(&name) { name } else { String::new() });
                }
            }
            ':' if at(i + 1) == ':' => {
                i += 2;
                word = Some("::".to_owned());
            }
            c => {
                i += 1;
                word = (!c.is_whitespace()).then(|| c.to_string());
            }
        }
        if let Some(text) = word {
            found.push(Token { text, line, inline_depth: 0 });
        }
        line += chars[start..i.min(chars.len())].iter().filter(|&&c| c == '\n').count();
    }
    measure_inline_depth(&mut found);
    found
}

/// The end of the plain string that opens at `i`.
fn string_end(chars: &[char], mut i: usize) -> usize {
    i += 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

fn measure_inline_depth(tokens: &mut [Token]) {
    let (mut braces, mut modules) = (0_usize, Vec::new());
    for at in 0..tokens.len() {
        match tokens[at].text.as_str() {
            "{" => {
                braces += 1;
                if at >= 2 && tokens[at - 2].text == "mod" {
                    modules.push(braces);
                }
            }
            "}" => {
                if modules.last() == Some(&braces) {
                    modules.pop();
                }
                braces = braces.saturating_sub(1);
            }
            _ => {}
        }
        tokens[at].inline_depth = modules.len();
    }
}

/// Takes out what exists only under `cfg(test)`; also returns the names of modules that were
/// declared so (`mod tests;`).
pub(crate) fn without_tests(tokens: Vec<Token>) -> (Vec<Token>, Vec<String>) {
    let word = |at: usize| tokens.get(at).map_or(END, |token| token.text.as_str());
    let (mut kept, mut modules, mut at) = (Vec::new(), Vec::new(), 0);
    while at < tokens.len() {
        let is_cfg = word(at) == "#" && word(at + 1) == "[" && word(at + 2) == "cfg" && word(at + 3) == "(";
        if !is_cfg || evaluate(&word, &mut (at + 4)) != Some(false) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        while word(at) == "#" {
            at = group_end(&word, at + 1); // this attribute and those behind it
        }
        let end = item_end(&word, at);
        let declared = (at..end).find(|&i| word(i) == "mod" && word(i + 2) == ";");
        modules.extend(declared.map(|i| word(i + 1).to_owned()));
        at = end;
    }
    (kept, modules)
}

/// What a `cfg` predicate says of a build without tests; `None` if it depends on something else.
fn evaluate<'a>(word: &impl Fn(usize) -> &'a str, at: &mut usize) -> Option<bool> {
    let name = word(*at);
    *at += 1;
    if word(*at) != "(" {
        while ![",", ")", END].contains(&word(*at)) {
            *at += 1; // the value of `key = "value"`
        }
        return (name == "test").then_some(false);
    }
    *at += 1;
    let mut parts = Vec::new();
    while ![")", END].contains(&word(*at)) {
        parts.push(evaluate(word, at));
        if word(*at) == "," {
            *at += 1;
        }
    }
    *at += 1;
    match name {
        "not" => parts.first().copied().flatten().map(|value| !value),
        "all" if parts.contains(&Some(false)) => Some(false),
        "any" if parts.iter().all(|part| *part == Some(false)) => Some(false),
        _ => None,
    }
}

/// Behind the bracket that closes the one at `at`.
fn group_end<'a>(word: &impl Fn(usize) -> &'a str, mut at: usize) -> usize {
    let mut depth = 0_usize;
    loop {
        match word(at) {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if word(at) == END {
            return at;
        }
        at += 1;
        if depth == 0 {
            return at;
        }
    }
}

/// Behind the item, field or statement that begins at `at`.
fn item_end<'a>(word: &impl Fn(usize) -> &'a str, mut at: usize) -> usize {
    let begins = |at: usize, words: &[&str]| (at..at + 6).any(|i| words.contains(&word(i)));
    let by_semicolon = begins(at, &["use", "static", "let"]) || (word(at) == "const" && word(at + 1) != "fn");
    let by_brace =
        begins(at, &["fn", "mod", "struct", "enum", "impl", "trait", "union", "type", "macro_rules", "extern"]);
    loop {
        match word(at) {
            "(" | "[" => at = group_end(word, at),
            "{" => {
                at = group_end(word, at);
                if !by_semicolon {
                    return at;
                }
            }
            ";" => return at + 1,
            "," if !by_brace && !by_semicolon => return at + 1,
            "}" | ")" | "]" | END => return at,
            _ => at += 1,
        }
    }
}
