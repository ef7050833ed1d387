//! Bringing the content of one file, in as many pieces as it takes.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use ureq::http::Method;

use super::cache::failed;
use super::http::{Cause, Failure, Follow, Http, Reply};
use super::{HubError, PlannedFile, Progress, checksum};
use crate::units::Bytes;

/// Why the content has not come yet.
pub(super) enum Interruption {
    /// It may go on.
    Passing(Failure),
    /// It will not.
    Final(HubError),
}

impl From<HubError> for Interruption {
    fn from(error: HubError) -> Self {
        Self::Final(error)
    }
}

/// Brings the content of `file` from `url` to `blob`. What is already in `incomplete` is not asked for again.
pub(super) fn fetch(
    http: &Http,
    url: &str,
    file: &PlannedFile,
    incomplete: &Path,
    blob: &Path,
    progress: &dyn Progress,
) -> Result<(), Interruption> {
    let mut n_failed = 0;
    // content that was here before is not known to be right
    let mut is_trusted = length_of(incomplete) == 0;
    loop {
        let before = length_of(incomplete);
        match receive(http, url, file, incomplete, progress) {
            Ok(()) => {}
            Err(Interruption::Passing(failure)) => {
                let received = length_of(incomplete);
                if received > before {
                    n_failed = 0;
                }
                if !http.is_worth_another(&failure) || n_failed + 1 >= http.attempts() {
                    return Err(match (failure, received) {
                        (failure, 0) => Interruption::Passing(failure),
                        (failure, received) => Interruption::Final(HubError::Cut {
                            file: file.name.clone(),
                            received,
                            size: file.size,
                            reason: failure.reason(),
                        }),
                    });
                }
                http.pause(n_failed, &failure, progress);
                n_failed += 1;
                continue;
            }
            Err(last) => return Err(last),
        }
        match mismatch(file, incomplete)? {
            None => break,
            Some(found) => {
                fs::remove_file(incomplete).map_err(|source| failed(incomplete, source))?;
                if is_trusted {
                    let expected = file.checksum.as_ref().unwrap_or(&file.etag).clone();
                    let file = file.name.clone();
                    return Err(HubError::Checksum { file, expected, found }.into());
                }
                progress.note(&format!("the earlier part of `{}` was damaged; starting over", file.name));
                is_trusted = true;
            }
        }
    }
    if file.checksum.is_none() {
        progress.note(&format!("`{}` came without a checksum: nothing but its length was compared", file.name));
    }
    fs::rename(incomplete, blob).map_err(|source| failed(blob, source).into())
}

fn length_of(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}

/// What the content is instead of what was promised.
fn mismatch(file: &PlannedFile, path: &Path) -> Result<Option<String>, HubError> {
    let length = length_of(path);
    if length != file.size {
        return Ok(Some(format!("of {length} bytes in place of {}", file.size)));
    }
    let Some(expected) = &file.checksum else { return Ok(None) };
    let found = checksum::of_file(path, expected).map_err(|source| failed(path, source))?;
    Ok(found.filter(|found| !found.eq_ignore_ascii_case(expected)))
}

/// Appends what is missing to `incomplete`.
fn receive(
    http: &Http,
    url: &str,
    file: &PlannedFile,
    incomplete: &Path,
    progress: &dyn Progress,
) -> Result<(), Interruption> {
    let mut out =
        File::options().create(true).append(true).open(incomplete).map_err(|source| failed(incomplete, source))?;
    let mut have = length_of(incomplete);
    if have > file.size {
        restart(&mut out, incomplete, &mut have)?;
    }
    if have == file.size && have > 0 {
        return Ok(());
    }
    let get = |from| http.attempt(&Method::GET, url, from, Follow::All).map_err(Interruption::Passing);
    let reply = match get((have > 0).then_some(have)) {
        Err(Interruption::Passing(Failure { cause: Cause::Refused(416, _), .. })) => {
            restart(&mut out, incomplete, &mut have)?;
            get(None)?
        }
        other => other?,
    };
    if have > 0 && !continues(&reply, have) {
        progress.note("the server cannot go on in the middle of a file; starting over");
        restart(&mut out, incomplete, &mut have)?;
        let reply = if reply.status == 206 { get(None)? } else { reply };
        return copy(reply, &mut out, have, file, incomplete, progress);
    }
    copy(reply, &mut out, have, file, incomplete, progress)
}

/// True when the answer begins at byte `from`.
fn continues(reply: &Reply, from: u64) -> bool {
    let range = reply.header("content-range").and_then(|range| range.strip_prefix("bytes "));
    let start = range.and_then(|range| range.split('-').next()).and_then(|start| start.trim().parse().ok());
    reply.status == 206 && start == Some(from)
}

fn restart(out: &mut File, path: &Path, have: &mut u64) -> Result<(), HubError> {
    *have = 0;
    out.set_len(0).and_then(|()| out.rewind()).map_err(|source| failed(path, source))
}

fn copy(
    reply: Reply,
    out: &mut File,
    mut have: u64,
    file: &PlannedFile,
    path: &Path,
    progress: &dyn Progress,
) -> Result<(), Interruption> {
    progress.begin(&file.name, have);
    let elsewhere = reply.elsewhere;
    let broken = |reason: String| {
        Interruption::Passing(Failure { cause: Cause::Passing(reason, None), elsewhere: elsewhere.clone() })
    };
    let mut body = reply.body.into_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(broken(error.to_string())),
        };
        out.write_all(&buffer[..n]).map_err(|source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                let needed = Bytes::new(file.size.saturating_sub(have)).to_string();
                HubError::DiskFull { path: path.into(), needed }
            }
            _ => failed(path, source),
        })?;
        have += n as u64;
        progress.advance(n as u64);
        if have > file.size {
            // the checksum will not fit: no need to take more of it
            return Ok(());
        }
    }
    if have < file.size {
        return Err(broken(format!("the connection ended {} bytes early", file.size - have)));
    }
    out.sync_all().map_err(|source| failed(path, source).into())
}
