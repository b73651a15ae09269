//! A plain mutation fuzzer: seeds, damage, properties. See README.md.

mod mutate;
mod targets;

use std::path::Path;
use std::time::{Duration, Instant};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map_or("all", String::as_str);
    let seconds = arguments.iter().skip_while(|word| *word != "--for").nth(1);
    let time = Duration::from_secs(seconds.and_then(|text| text.parse().ok()).unwrap_or(10));
    let chosen: Vec<_> = targets::ALL.iter().filter(|target| name == "all" || name == target.name).collect();
    if chosen.is_empty() {
        let known: Vec<_> = targets::ALL.iter().map(|target| target.name).collect();
        eprintln!("no target is named `{name}`: there are {}", known.join(", "));
        std::process::exit(2);
    }
    std::panic::set_hook(Box::new(|_| {}));
    let broken: usize = chosen.into_iter().map(|target| usize::from(!fuzz(target, time))).sum();
    std::process::exit(i32::from(broken > 0));
}

/// Runs one target; false if an input broke it.
fn fuzz(target: &targets::Target, time: Duration) -> bool {
    let seeds = (target.seeds)();
    let mut random = mutate::Random::new(0x0048_4145_4348_4949);
    let (start, mut runs) = (Instant::now(), 0u64);
    while start.elapsed() < time {
        let input = mutate::damaged(&seeds, &mut random);
        runs += 1;
        if let Err(panic) = std::panic::catch_unwind(|| (target.run)(&input)) {
            let message = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts");
            let file = dir.join(format!("{}-{runs}", target.name));
            let _ = std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(&file, &input));
            println!(
                "{}: BROKEN after {runs} inputs: {message}\n  {}\n  {}",
                target.name,
                input.escape_ascii(),
                file.display()
            );
            return false;
        }
    }
    println!("{}: {runs} inputs, none broke it", target.name);
    true
}
