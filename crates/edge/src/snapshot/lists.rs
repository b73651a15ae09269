//! Lists, and what tells where an address is.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use haechi_config::model::{self, ListEntry};
use haechi_config::{Diagnostic, OperationSettings, value};
use haechi_guard::{Country, Mode};
use haechi_lists::{Level, List, ListBuilder, ListsGuard, Places, Told};

use super::compile::Compiler;

/// Longest file of a list.
const LIST_FILE: u64 = 32 * 1024 * 1024;

/// Most entries of all lists together: the largest public lists have about a hundred thousand, and a million of IPv6 take 32 MiB.
const ENTRIES: usize = 1_000_000;

/// Largest MaxMind file. GeoLite2 Country and ASN have about 10 MB each, the largest editions some hundreds.
const GEO_FILE: u64 = 512 * 1024 * 1024;

/// Most mistakes of one file that are told.
const TOLD: usize = 5;

/// What tells where an address is. Costs nothing where no file is configured.
#[derive(Default)]
pub(crate) struct Geo {
    country: Option<Arc<Places<Country>>>,
    asn: Option<Arc<Places<u32>>>,
}

/// Where an address is, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Whereabouts {
    pub(crate) country: Country,
    pub(crate) asn: u32,
}

/// What was read of a file, for the next snapshot: most activations change other files.
#[derive(Debug)]
pub(crate) struct ReadPlaces<V>(Mutex<Vec<(blake3::Hash, Weak<Places<V>>)>>);

// === impl Geo ===

impl Geo {
    /// Where an address is.
    pub(crate) fn find(&self, address: IpAddr) -> Whereabouts {
        Whereabouts {
            country: self.country.as_ref().map(|places| places.find(address)).unwrap_or_default(),
            asn: self.asn.as_ref().map(|places| places.find(address)).unwrap_or_default(),
        }
    }

    /// When the files were made, in seconds since 1970.
    pub(super) fn built(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let country = self.country.as_ref().map(|places| ("country", places.built()));
        country.into_iter().chain(self.asn.as_ref().map(|places| ("asn", places.built())))
    }
}

// === impl ReadPlaces ===

impl<V> Default for ReadPlaces<V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<V: Told> ReadPlaces<V> {
    /// What the file of this digest tells, read if no snapshot holds it already.
    fn get(&self, digest: blake3::Hash, file: &[u8]) -> Result<Arc<Places<V>>, haechi_lists::GeoError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(_, places)| places.strong_count() > 0);
        if let Some(places) =
            known.iter().find(|(other, _)| *other == digest).and_then(|(_, places)| places.upgrade())
        {
            return Ok(places);
        }
        let places = Arc::new(Places::read(file)?);
        known.push((digest, Arc::downgrade(&places)));
        Ok(places)
    }
}

// === impl Compiler ===

impl Compiler<'_> {
    pub(super) fn geo(&mut self) -> Geo {
        let (geo, lasting) = (&self.config.geo, self.lasting);
        Geo {
            country: geo.country.as_ref().and_then(|file| self.places("country", file, &lasting.countries)),
            asn: geo.asn.as_ref().and_then(|file| self.places("asn", file, &lasting.operators)),
        }
    }

    fn places<V: Told>(&mut self, name: &str, file: &Path, known: &ReadPlaces<V>) -> Option<Arc<Places<V>>> {
        self.file(file.to_owned());
        let read = match self.sources.read_large(file, GEO_FILE) {
            Ok(bytes) if bytes.len() as u64 > GEO_FILE => Err("it is too long".to_owned()),
            Ok(bytes) => {
                let digest = blake3::hash(&bytes);
                self.digest.update(digest.as_bytes());
                known.get(digest, &bytes).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        read.map_err(|message| {
            let message = format!("`{}` cannot be used: {message}", file.display());
            self.refuse(&["geo", name], Diagnostic::new("geo", message));
        })
        .ok()
    }

    pub(super) fn lists(&mut self) -> HashMap<String, Arc<List>> {
        let config = self.config;
        let mut room = ENTRIES;
        let mut lists = HashMap::new();
        for (name, list) in &config.lists {
            let mut builder = ListBuilder::default();
            for (index, entry) in list.entries.iter().enumerate() {
                match self.tells(*entry) {
                    Ok(()) => add(&mut builder, *entry),
                    Err(message) => {
                        let path = ["lists", name, "entries", &index.to_string()];
                        let diagnostic = Diagnostic::new("geo", message).help(FILES);
                        self.refuse(&path, diagnostic);
                    }
                }
            }
            for (index, file) in list.files.iter().enumerate() {
                let path = ["lists", name, "files", &index.to_string()];
                self.entries(&path, file, &mut room, &mut builder);
            }
            lists.insert(name.clone(), Arc::new(builder.build(name)));
        }
        lists
    }

    /// The entries of a file.
    fn entries(&mut self, path: &[&str], file: &Path, room: &mut usize, builder: &mut ListBuilder) {
        self.file(file.to_owned());
        let text = match self.sources.read(file, LIST_FILE) {
            Ok(bytes) if bytes.len() as u64 > LIST_FILE => Err("it is too long".to_owned()),
            Ok(bytes) => {
                self.digest.update(&bytes);
                std::str::from_utf8(&bytes).map(str::to_owned).map_err(|error| {
                    let line =
                        bytes.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count() + 1;
                    format!("line {line} is not UTF-8")
                })
            }
            Err(error) => Err(error.to_string()),
        };
        let text = match text {
            Ok(text) => text,
            Err(message) => {
                let message = format!("`{}` cannot be used: {message}", file.display());
                return self.refuse(path, Diagnostic::new("list", message));
            }
        };
        let (mut wrong, mut more) = (Vec::new(), 0);
        for (line, entry) in lines(&text) {
            let entry = match entry.and_then(|entry| self.tells(entry).map(|()| entry)) {
                Ok(entry) => entry,
                Err(message) if wrong.len() < TOLD => {
                    wrong.push((line, message));
                    continue;
                }
                Err(_) => {
                    more += 1;
                    continue;
                }
            };
            let Some(less) = room.checked_sub(1) else {
                wrong.push((line, format!("all lists together have more than {ENTRIES} entries")));
                break;
            };
            *room = less;
            add(builder, entry);
        }
        for (line, message) in wrong {
            let message = format!("`{}`, line {line}: {message}", file.display());
            self.refuse(path, Diagnostic::new("list", message));
        }
        if more > 0 {
            let message = format!("`{}`: {more} more lines are wrong", file.display());
            self.refuse(path, Diagnostic::new("list", message));
        }
    }

    /// Whether something tells that an address is where the entry says.
    fn tells(&self, entry: ListEntry) -> Result<(), String> {
        let geo = &self.config.geo;
        match entry {
            ListEntry::Country(_) if geo.country.is_none() => {
                Err(format!("`{entry}` is a country, and nothing tells the country of an address"))
            }
            ListEntry::Operator(_) if geo.asn.is_none() => {
                Err(format!("`{entry}` is an operator, and nothing tells the operator of an address"))
            }
            _ => Ok(()),
        }
    }

    /// The guard of where calls come from, if the operation has one.
    pub(super) fn callers(&self, settings: &OperationSettings) -> Option<ListsGuard> {
        if settings.callers.is_empty() || settings.lists == Mode::Off {
            return None;
        }
        let named =
            |names: &[String]| names.iter().filter_map(|name| self.lists.get(name).cloned()).collect();
        let level = |level: &model::Callers| Level { allow: named(&level.allow), deny: named(&level.deny) };
        Some(ListsGuard::new(settings.callers.iter().map(level).collect()))
    }
}

/// What to do where nothing tells countries or operators.
pub(super) const FILES: &str =
    "name a MaxMind file, as in `geo: { country: ./GeoLite2-Country.mmdb, asn: ./GeoLite2-ASN.mmdb }`";

fn add(builder: &mut ListBuilder, entry: ListEntry) {
    match entry {
        ListEntry::Network(network) => builder.networks.push(network),
        ListEntry::Country(country) => builder.countries.push(country),
        ListEntry::Operator(number) => builder.operators.push(number),
    }
}

/// The entries of a file, each with the number of its line. Both `#` and `;` begin a comment: public lists use the one or the other.
fn lines(text: &str) -> impl Iterator<Item = (usize, Result<ListEntry, String>)> {
    // Some editors begin a file with a mark of its encoding.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    (1..).zip(text.lines()).filter_map(|(number, line)| {
        let entry = line.split(['#', ';']).next().unwrap_or_default().trim();
        (!entry.is_empty()).then(|| (number, value::list_entry(entry)))
    })
}

#[cfg(test)]
mod tests;
