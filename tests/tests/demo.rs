//! `npm run demo` keeps its promise: it observes every line that it tells, and ends
//! with 0. (It builds the Worker when that is not fresh, and takes a free port.)

use tram_tests::script;

#[test]
fn the_demo_observes_all_that_it_tells() {
    let demo = script("demo.mjs").output().expect("node runs");
    let (told, said) = (
        String::from_utf8_lossy(&demo.stdout),
        String::from_utf8_lossy(&demo.stderr),
    );
    assert!(demo.status.success(), "{}\n{told}\n{said}", demo.status);
    let words: Vec<&str> = told
        .lines()
        .filter_map(|line| line.strip_prefix("✓ ")?.split_whitespace().next())
        .collect();
    let all = [
        "created",
        "accepted",
        "relayed",
        "failed",
        "retried",
        "delivered",
        "duplicate",
        "forged",
    ];
    assert_eq!(words, all, "{told}");
    assert!(
        said.contains("Nothing lost, nothing twice, nothing unproven."),
        "{said}"
    );
}
