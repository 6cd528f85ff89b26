//! Shows each kind of fault to the inspectors.

use super::{Catalogue, inspect_pairs, inspect_promises};

const RING: &str = "
    use crate::primitive::atomic::AtomicU32;
    /// Not an `AtomicBool`.
    pub(crate) struct Ring { head: AtomicU32 }
    impl<T: Fn() -> u8> Ring { pub(crate) fn push(&self) {} fn pop(&self) {} }
    struct Plain<'a> { name: &'a str }
    static COUNT: u32 = next(AtomicU32::new(0));
    #[cfg(test)]
    mod tests { static SEEN: AtomicBool = AtomicBool::new(false); #[test] fn ring_full_push_is_refused() {} }
    #[cfg(test)]
    mod more;
";

const TESTS: &str = "
    #[test] fn ring_task_is_popped_once() { let helper = 1; }
    #[heist::test(sim)] #[ignore] async fn ring_in_a_simulation_loses_nothing() {}
    fn helper_without_an_attribute() {}
";

const PAGE: &str = "
## Actors

| actor | what it is |
|---|---|
| worker | a thread |
| thief | another one |

## Queues

### `queue::ring::Ring`

| actor | at a time | operations |
|---|---|---|
| worker | one | `Ring::push`, `pop` |
| thief | many | `pop` |

| pair | check |
|---|---|
| worker × thief | `ring_task_is_popped_once`, `ring_full_push_is_refused` |
| thief × thief | not covered, because `Ring` has one thief in it |

## Exceptions

| state | reason |
|---|---|
";

fn catalogue(files: &[(&str, &str)]) -> Catalogue {
    let mut all = vec![("src/queue/ring.rs", RING), ("tests/ring.rs", TESTS)];
    all.extend(files);
    let all: Vec<_> = all.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect();
    Catalogue::read(&all)
}

/// Returns the faults of the sound page after one replacement, beside `files`.
#[track_caller]
fn faults(from: &str, to: &str, files: &[(&str, &str)]) -> Vec<String> {
    assert!(PAGE.contains(from), "the page has no {from:?}");
    inspect_pairs(&PAGE.replacen(from, to, 1), &catalogue(files))
}

#[track_caller]
fn one_fault(from: &str, to: &str, files: &[(&str, &str)], says: &str) {
    let faults = faults(from, to, files);
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert!(faults[0].contains(says), "expected {says:?} in {}", faults[0]);
    assert!(faults[0].contains("\n    "), "no remedy in {}", faults[0]);
}

#[test]
fn inspect_of_a_sound_page_of_pairs_finds_nothing() {
    let files = [
        ("src/queue/ring/more.rs", "static OTHER: AtomicBool = AtomicBool::new(false);"),
        ("src/idle.rs", "fn f() -> Mutex<u8> {} struct Part { lent: u8 }"),
    ];
    assert_eq!(faults("worker × thief", "thief × worker", &files), Vec::<String>::new());
    let many =
        "| worker × thief | `ring_task_is_popped_once` |\n| thief × thief | `ring_in_a_simulation_loses_nothing` |\n";
    let start = PAGE.find("| worker × thief").expect("a row");
    let end = PAGE.find("\n## Exceptions").expect("a heading");
    assert_eq!(
        inspect_pairs(&format!("{}{many}{}", &PAGE[..start], &PAGE[end..]), &catalogue(&[])),
        Vec::<String>::new()
    );
}

#[test]
fn inspect_of_a_test_that_does_not_exist_finds_it() {
    one_fault("`ring_full_push_is_refused`", "`ring_full_push_is_taken`", &[], "no test `ring_full_push_is_taken`");
    one_fault("`ring_full_push_is_refused`", "`helper_without_an_attribute`", &[], "there is no test `helper");
    one_fault("`ring_task_is_popped_once`, `ring_full_push_is_refused`", "by reading", &[], "no test is named");
}

#[test]
fn inspect_of_a_reason_that_says_nothing_finds_it() {
    one_fault("because `Ring` has one thief in it", "because so", &[], "gives no reason");
    one_fault("because `Ring` has one thief in it", "because of the absent `Lock`", &[], "have no `Lock`");
}

#[test]
fn inspect_of_a_type_or_function_that_does_not_exist_finds_it() {
    one_fault("### `queue::ring::Ring`", "### `queue::Ring`, `queue::ring::Ring`", &[], "no `queue::Ring`");
    one_fault("### `queue::ring::Ring`", "### `queue::ring::Ring`\n\nAlso `queue::Ring`.", &[], "no `queue::Ring`");
    one_fault("`Ring::push`", "`Ring::steal`", &[], "no function `Ring::steal`");
    one_fault("`Ring::push`", "`Plain::push`", &[], "no function `Plain::push`");
}

#[test]
fn inspect_of_shared_state_that_is_not_listed_finds_it() {
    for text in [
        "struct Lane { tail: CachePadded<Mutex<Tail>> }",
        "pub(crate) struct Lane(AtomicU64);",
        "type Word = AtomicU64; struct Lane { word: Word }",
        "enum Lane { Empty, Full(UnsafeCell<u8>) }",
        "fn f() { static Lane: AtomicBool = AtomicBool::new(false); }",
        "thread_local! { static Lane: OnceLock<u8> = const { OnceLock::new() }; }",
    ] {
        one_fault("worker", "worker", &[("src/lane.rs", text)], "src/lane.rs:1: `lane::Lane` has state");
        let excepted = "| `lane` | one thread has it |\n";
        let page = format!("{PAGE}{excepted}");
        assert_eq!(inspect_pairs(&page, &catalogue(&[("src/lane.rs", text)])), Vec::<String>::new());
    }
}

#[test]
fn inspect_of_a_pair_without_a_line_finds_it() {
    one_fault("| thief × thief | not", "not", &[], "no line for thief × thief");
    one_fault("| worker × thief |", "| thief × thief |", &[], "no line for worker × thief");
    one_fault("worker | one", "worker | many", &[], "no line for worker × worker");
    one_fault("| thief × thief |", "| thief × thief, closer |", &[], "`closer` is no actor of this state");
}

#[test]
fn inspect_of_a_model_without_a_row_finds_it() {
    let more = [("loom-tests/lane.rs", "#[test] fn lane_task_is_taken_once() {}")];
    one_fault("worker", "worker", &more, "`lane_task_is_taken_once` is in no row");
    let canary = [("loom-tests/canary.rs", "#[test] fn lane_task_is_taken_once() {}")];
    assert_eq!(faults("worker", "worker", &canary), Vec::<String>::new());
}

#[test]
fn inspect_of_a_row_of_no_form_finds_it() {
    one_fault("| thief | another one |\n", "", &[], "`thief` is no actor");
    one_fault("worker | one |", "worker | 1 |", &[], "`1` is no number");
    one_fault("| worker × thief |", "| thief |\n| worker × thief |", &[], "the row is neither");
}

#[test]
fn inspect_of_an_exception_without_state_or_reason_finds_it() {
    let with = |row: &str| inspect_pairs(&format!("{PAGE}{row}"), &catalogue(&[]));
    assert!(with("| `gone::Lane` | one thread has it |\n")[0].contains("no shared `gone::Lane`"));
    assert!(with("| `queue::ring::Ring` | so |\n")[0].contains("needs a name and a reason"));
}

#[test]
fn inspect_of_each_fault_of_the_promises_finds_it() {
    let sound = |id: &str| format!("| {id} | a case | `ring_task_is_popped_once` |\n");
    let page = |skip: &str, row: &str| {
        let ids = super::page::CASES.iter().flat_map(|(first, count)| (1..=*count).map(move |n| format!("{first}{n}")));
        let rows: String = ids.filter(|id| id != skip).map(|id| sound(&id)).collect();
        inspect_promises(&format!("## Cases\n\n| id | case | tests |\n|---|---|---|\n{rows}{row}"), &catalogue(&[]))
    };
    assert_eq!(page("A1", &sound("A1")), Vec::<String>::new());
    assert_eq!(page("A1", "| A1 | a case | cannot happen: there is no ring |\n"), Vec::<String>::new());
    let one = |row: &str, says: &str| {
        let faults = page("A1", row);
        assert_eq!(faults.len(), 1, "{faults:#?}");
        assert!(faults[0].contains(says) && faults[0].contains("\n    "), "{faults:#?}");
    };
    one("| A1 | a case | `ring_test_that_is_gone` |\n", "no test `ring_test_that_is_gone`");
    one("| A1 | a case | by reading |\n", "no test is named");
    one("| A1 | a case | not tested: no |\n", "gives no reason");
    one("", "no row for A1");
    one(&format!("{}{}", sound("A1"), sound("A1")), "`A1` has a row already");
}
