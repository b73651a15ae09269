//! Loads every specification below the given folders into one router and measures it.
//!
//! ```text
//! cargo run --release -p haechi-contract --example load_specs -- FOLDER...
//! ```

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use haechi_contract::{ApiIndex, Contract, Limits, Lookup, RouterBuilder};

fn main() -> Result<(), Box<dyn Error>> {
    let mut files = Vec::new();
    for folder in std::env::args_os().skip(1) {
        collect(Path::new(&folder), &mut files)?;
    }
    files.sort();
    let started = Instant::now();
    let mut contracts = Vec::new();
    for file in &files {
        match Contract::load(file, &Limits::default()) {
            Ok(contract) => contracts.push(contract),
            Err(error) => println!("{error}"),
        }
    }
    let loaded = started.elapsed();
    let mut router = RouterBuilder::new();
    let mut requests = Vec::new();
    for (number, contract) in contracts.iter().enumerate() {
        let host = contract.servers().first().and_then(|server| server.host());
        router.add(ApiIndex(u32::try_from(number)?), host, contract.base_path(), contract)?;
        for operation in contract.operations() {
            let path = format!("{}{}", contract.base_path(), operation.template()).replace(['{', '}'], "x");
            requests.push((host.unwrap_or_default().to_owned(), operation.method().clone(), path));
        }
    }
    let router = router.build();
    let rounds = 100_000 / requests.len().max(1) + 1;
    let started = Instant::now();
    let mut found = 0_usize;
    for _ in 0..rounds {
        for (host, method, path) in &requests {
            found += usize::from(matches!(router.lookup(host, method, path), Lookup::Found(_)));
        }
    }
    let lookups = rounds * requests.len();
    println!("{} of {} files, {} operations", contracts.len(), files.len(), requests.len());
    println!("loaded in {:.2} s", loaded.as_secs_f64());
    println!(
        "{found} of {lookups} look-ups found, {:.0} ns each",
        started.elapsed().as_secs_f64() * 1e9 / lookups.max(1) as f64
    );
    let warnings: usize = contracts.iter().map(|contract| contract.warnings().len()).sum();
    println!("{warnings} warnings");
    for warning in contracts.iter().flat_map(Contract::warnings).take(10) {
        println!("  {warning}");
    }
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "json" || extension == "yaml") {
            files.push(path);
        }
    }
    Ok(())
}
