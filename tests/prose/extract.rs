//! Takes prose and names out of Rust sources and of pages.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A physical line of prose, for its length.
    Line,
    /// The first paragraph of a documentation comment.
    Doc,
    /// A paragraph of a comment or a page.
    Comment,
    /// A cell of a table.
    Cell,
    /// A string literal.
    Text,
    /// A name that a source defines.
    Name,
    /// The name of a function that is no test.
    Function,
    /// The name of a test.
    TestName,
}

#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) kind: Kind,
    pub(crate) line: usize,
    pub(crate) text: String,
}

fn piece(kind: Kind, line: usize, text: &str) -> Piece {
    Piece { kind, line, text: text.to_owned() }
}

/// Splits a page into paragraphs, list items and cells. Fenced code is left out.
pub(crate) fn markdown(text: &str) -> Vec<Piece> {
    let lines: Vec<(usize, &str)> = text.lines().enumerate().map(|(at, line)| (at + 1, line)).collect();
    let mut pieces = paragraphs(&lines, Kind::Comment);
    let mut fenced = false;
    for (at, line) in lines {
        let trimmed = line.trim_start();
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            fenced = !fenced;
        }
        // A link or an address cannot be broken.
        if !fenced && !trimmed.starts_with('|') && !line.contains("](") && !line.contains("://") {
            pieces.push(piece(Kind::Line, at, line));
        }
    }
    pieces
}

/// Paragraphs of lines without their comment marks.
fn paragraphs(lines: &[(usize, &str)], first: Kind) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let (mut open, mut fenced, mut kind): (Option<Piece>, bool, Kind) = (None, false, first);
    for &(at, line) in lines {
        let trimmed = line.trim();
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            fenced = !fenced;
            pieces.extend(open.take());
            continue;
        }
        if fenced || trimmed.is_empty() || trimmed.starts_with('#') {
            pieces.extend(open.take());
            if trimmed.is_empty() || trimmed.starts_with('#') {
                kind = Kind::Comment;
            }
            if !fenced && trimmed.starts_with('#') {
                pieces.push(piece(Kind::Comment, at, trimmed.trim_start_matches('#')));
            }
            continue;
        }
        if trimmed.starts_with('|') {
            pieces.extend(open.take());
            let cells = trimmed.trim_matches('|').split('|');
            let cells = cells.filter(|cell| cell.chars().any(char::is_alphanumeric));
            pieces.extend(cells.map(|cell| piece(Kind::Cell, at, cell)));
            continue;
        }
        let number = trimmed.trim_start_matches(|c: char| c.is_ascii_digit());
        let numbered = number.len() < trimmed.len() && (number.starts_with(". ") || number.starts_with(") "));
        if numbered || ["* ", "- ", "+ ", "> "].iter().any(|mark| trimmed.starts_with(mark)) {
            pieces.extend(open.take());
        }
        match &mut open {
            Some(open) => {
                open.text.push(' ');
                open.text.push_str(trimmed);
            }
            None => {
                open = Some(piece(kind, at, trimmed));
                if kind == Kind::Doc {
                    kind = Kind::Comment;
                }
            }
        }
    }
    pieces.extend(open);
    pieces
}

/// Takes comments, string literals, defined names and tests' names out of a Rust source.
pub(crate) fn rust(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let (mut block, mut mark): (Vec<(usize, &str)>, &str) = (Vec::new(), "");
    let mut code = String::new();
    let mut inside = false;
    for (at, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        let found = if inside { None } else { ["//!", "///", "//"].into_iter().find(|mark| trimmed.starts_with(mark)) };
        if found.is_none() || found != Some(mark) {
            pieces.extend(comment(&block, mark));
            block.clear();
            mark = found.unwrap_or("");
        }
        if let Some(mark) = found {
            block.push((at + 1, &trimmed[mark.len()..]));
            if !line.contains("](")
                && !line.contains("://")
                && !trimmed.starts_with("/// |")
                && !trimmed.starts_with("//! |")
            {
                pieces.push(piece(Kind::Line, at + 1, line));
            }
            code.push('\n');
        } else {
            inside = literal_is_open(line, inside);
            code.push_str(line);
            code.push('\n');
        }
    }
    pieces.extend(comment(&block, mark));
    pieces.extend(names(&code));
    pieces.extend(strings(&code));
    pieces
}

/// Whether a string literal is open behind this line. Raw strings are taken for plain ones: they are rare.
fn literal_is_open(line: &str, mut open: bool) -> bool {
    let chars: Vec<char> = line.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        match chars[at] {
            '\\' if open => at += 1,
            '"' => open = !open,
            '\'' if !open && chars.get(at + 2) == Some(&'\'') => at += 2,
            '\'' if !open && chars.get(at + 1) == Some(&'\\') && chars.get(at + 3) == Some(&'\'') => at += 3,
            '/' if !open && chars.get(at + 1) == Some(&'/') => return open,
            _ => {}
        }
        at += 1;
    }
    open
}

fn comment(block: &[(usize, &str)], mark: &str) -> Vec<Piece> {
    let mut pieces = paragraphs(block, if mark == "///" { Kind::Doc } else { Kind::Comment });
    // These are labels of the claim that follows.
    for piece in &mut pieces {
        for label in ["SAFETY:", "Invariant:", "TODO:"] {
            if let Some(rest) = piece.text.strip_prefix(label) {
                piece.text = rest.to_owned();
            }
        }
        if let Some((order, rest)) = piece.text.strip_prefix("Ordering:").and_then(|rest| rest.split_once('—')) {
            if order.split_whitespace().count() < 4 {
                piece.text = rest.to_owned();
            }
        }
    }
    pieces
}

/// Names of types, functions, modules and constants; the names of tests by themselves.
fn names(code: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut is_test = false;
    for (at, line) in code.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.starts_with("#[test]")
            || trimmed.starts_with("#[heist::test")
            || trimmed.starts_with("#[tokio::test")
        {
            is_test = true;
            continue;
        }
        let words: Vec<&str> = trimmed.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
        let Some(key) =
            words.iter().position(|word| ["fn", "struct", "enum", "trait", "mod", "const", "static"].contains(word))
        else {
            continue;
        };
        let Some(name) = words[key + 1..].iter().find(|word| !word.is_empty()) else { continue };
        if words[key] == "fn" && is_test {
            pieces.push(piece(Kind::TestName, at + 1, name));
            is_test = false;
        } else {
            let kind = if words[key] == "fn" { Kind::Function } else { Kind::Name };
            pieces.push(piece(kind, at + 1, name));
        }
    }
    pieces
}

/// String literals with a space in them.
fn strings(code: &str) -> Vec<Piece> {
    let chars: Vec<char> = code.chars().collect();
    let (mut pieces, mut at, mut line) = (Vec::new(), 0, 1);
    while at < chars.len() {
        match chars[at] {
            '\n' => line += 1,
            '/' if chars.get(at + 1) == Some(&'/') => {
                while at < chars.len() && chars[at] != '\n' {
                    at += 1;
                }
                continue;
            }
            '\'' if chars.get(at + 2) == Some(&'\'') => at += 2,
            '\'' if chars.get(at + 1) == Some(&'\\') => at += 2,
            '"' => {
                let (start, mut text) = (line, String::new());
                at += 1;
                while at < chars.len() && chars[at] != '"' {
                    if chars[at] == '\\' {
                        at += 1;
                    }
                    if chars.get(at) == Some(&'\n') {
                        line += 1;
                    }
                    text.extend(chars.get(at));
                    at += 1;
                }
                if text.contains(' ') {
                    pieces.push(piece(Kind::Text, start, &text));
                }
            }
            _ => {}
        }
        at += 1;
    }
    pieces
}

/// Each code span becomes one word, and a link its text.
pub(crate) fn without_code(text: &str) -> String {
    let mut out = String::new();
    let mut in_code = false;
    for c in text.chars() {
        match c {
            '`' => {
                in_code = !in_code;
                if in_code {
                    out.push_str("0x0");
                }
            }
            _ if in_code => {}
            c => out.push(c),
        }
    }
    // `[text](target)`
    let mut plain = String::new();
    let mut rest = out.as_str();
    while let Some(at) = rest.find("](") {
        plain.push_str(&rest[..at]);
        let behind = &rest[at + 2..];
        rest = behind.find(')').map_or("", |end| &behind[end + 1..]);
    }
    plain.push_str(rest);
    plain
}

/// Splits at `.`, `?` and `!` before white space.
pub(crate) fn sentences(text: &str) -> Vec<String> {
    let mut sentences = vec![String::new()];
    let words: Vec<&str> = text.split_whitespace().collect();
    for word in words {
        let last = sentences.last_mut().expect("never empty");
        last.push_str(word);
        last.push(' ');
        let bare = word.trim_end_matches(|c: char| [')', '"', '*', '_', ']', '”'].contains(&c));
        let abbreviated = ["e.g.", "i.e.", "vs.", "etc.", "cf."].contains(&bare.trim_start_matches('('));
        if bare.ends_with(['.', '?', '!']) && !abbreviated {
            sentences.push(String::new());
        }
    }
    sentences
}

/// Whether a source defines `name` as something of this `kind`.
pub(crate) fn defines(text: &str, kind: &str, name: &str) -> bool {
    let keys: &[&str] = match kind {
        "type" => &["struct", "enum", "trait", "type", "union"],
        "fn" => &["fn"],
        "mod" => &["mod"],
        "const" => &["const", "static"],
        _ => &[],
    };
    text.lines().map(str::trim_start).filter(|line| !line.starts_with("//")).any(|line| {
        let words: Vec<&str> =
            line.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty()).collect();
        let defined = words.windows(2).any(|pair| keys.contains(&pair[0]) && pair[1] == name);
        // A field, or a variant.
        let bare = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub(super) ")).unwrap_or(line);
        let rest = bare.strip_prefix(name);
        let field = kind == "field" && rest.is_some_and(|rest| rest.starts_with(':') && !rest.starts_with("::"));
        let variant = kind == "const"
            && rest.is_some_and(|rest| rest.starts_with(',') || rest.starts_with(" {") || rest.starts_with('('));
        defined || field || variant
    })
}

/// Returns the names of all functions that a source defines.
pub(crate) fn functions(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).filter_map(|line| {
        let rest = &line[line.find("fn ")? + 3..];
        rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().filter(|name| !name.is_empty())
    })
}

/// Returns every comment that gives the reason of an ordering, with its first line's number.
pub(crate) fn ordering_comments(text: &str) -> Vec<(usize, String)> {
    let mut comments: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (at, line) in text.lines().enumerate() {
        let comment = line.trim_start().strip_prefix("// ");
        match comment {
            Some(text) if text.starts_with("Ordering:") => comments.push((at + 1, text.to_owned())),
            Some(text) if open => comments.last_mut().expect("one is open").1.push_str(&format!(" {text}")),
            _ => {
                open = false;
                continue;
            }
        }
        open = true;
    }
    comments
}

/// Returns what stands between backticks.
pub(crate) fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}
