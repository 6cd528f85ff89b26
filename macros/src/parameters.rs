//! The parameters of a function, split into names and types so that they can be passed on.

use proc_macro::{Delimiter, Group, Ident, Punct, Spacing, Span, TokenStream, TokenTree};

/// Parameters that the plain function takes, and the arguments with which it calls the async one.
pub(crate) struct Parameters {
    pub(crate) taken: Group,
    pub(crate) passed: Group,
}

impl Parameters {
    /// Reads a list in parentheses. Returns None if it holds more than patterns and types: a
    /// receiver, an attribute, or a mistake.
    pub(crate) fn read(list: &Group) -> Option<Parameters> {
        let (mut taken, mut passed) = (Vec::new(), Vec::new());
        for (number, parameter) in split(list.stream()).into_iter().enumerate() {
            let colon = colon(&parameter)?;
            let name = name(&parameter[..colon], number)?;
            let comma = || TokenTree::from(Punct::new(',', Spacing::Alone));
            taken.push(name.clone().into());
            taken.extend(parameter[colon..].iter().cloned());
            taken.push(comma());
            passed.extend([name.into(), comma()]);
        }
        let group = |tokens: Vec<TokenTree>| {
            let mut group = Group::new(Delimiter::Parenthesis, tokens.into_iter().collect());
            group.set_span(list.span());
            group
        };
        Some(Parameters { taken: group(taken), passed: group(passed) })
    }
}

/// Splits the list at the commas outside of angle brackets.
fn split(list: TokenStream) -> Vec<Vec<TokenTree>> {
    let (mut parts, mut part) = (Vec::new(), Vec::new());
    let (mut depth, mut arrow) = (0, false);
    for token in list {
        let char = char(&token);
        match char {
            Some(',') if depth == 0 => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            Some('<') => depth += 1,
            Some('>') if !arrow => depth -= 1,
            _ => {}
        }
        arrow = char == Some('-');
        part.push(token);
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// Returns where the pattern ends. A path in it has colons in pairs.
fn colon(parameter: &[TokenTree]) -> Option<usize> {
    let is_colon = |at: usize| parameter.get(at).and_then(char) == Some(':');
    let mut at = 0;
    while at < parameter.len() {
        match (is_colon(at), is_colon(at + 1)) {
            (true, false) => return Some(at),
            (true, true) => at += 2,
            (false, _) => at += 1,
        }
    }
    None
}

/// Returns the name of a parameter in the plain function: that of the pattern, if the pattern is a
/// name.
///
/// Returns None for a receiver, and after an attribute.
fn name(pattern: &[TokenTree], number: usize) -> Option<Ident> {
    let is_self = |token: &TokenTree| matches!(token, TokenTree::Ident(ident) if ident.to_string() == "self");
    if pattern.iter().any(|token| is_self(token) || char(token) == Some('#')) {
        return None;
    }
    match pattern {
        [TokenTree::Ident(name)] if name.to_string() != "_" => Some(name.clone()),
        [TokenTree::Ident(word), TokenTree::Ident(name)] if word.to_string() == "mut" => Some(name.clone()),
        _ => Some(Ident::new(&format!("argument_{number}"), Span::mixed_site())),
    }
}

fn char(token: &TokenTree) -> Option<char> {
    match token {
        TokenTree::Punct(punct) => Some(punct.as_char()),
        _ => None,
    }
}
