//! The CSV files that scenarios read.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{Capacity, ImportError, RecordedDevice};

/// Writes a file under another name and renames it, so that it is whole or as it was before.
fn rows(
    path: &Path,
    overwrite: bool,
    header: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<usize, ImportError> {
    if !overwrite && path.exists() {
        return Err(ImportError::Exists { path: path.display().to_string() });
    }
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = write(&part, header, rows).and_then(|n| {
        fs::rename(&part, path)?;
        Ok(n)
    });
    written.map_err(|error| {
        // Best effort: the error that matters is the first one.
        let _ = fs::remove_file(&part);
        ImportError::write(path, error)
    })
}

/// Writes rows; their number.
fn write(path: &Path, header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Result<usize, csv::Error> {
    let mut writer = csv::Writer::from_writer(BufWriter::new(File::create(path)?));
    writer.write_record(header)?;
    let mut n = 0;
    for row in rows {
        writer.write_record(&row)?;
        n += 1;
    }
    let mut inner = writer.into_inner().map_err(|error| error.into_error())?;
    inner.flush()?;
    // A full disk may show only when the data really goes there.
    inner.get_ref().sync_all()?;
    Ok(n)
}

/// The id in the source, or the number in the list.
fn id_of(number: usize, id: &str, renumber: bool) -> String {
    if renumber { number.to_string() } else { id.to_string() }
}

/// `devices.csv`: `client_id,time_per_sample_ms,memory_mib`, the memory unknown. Gives the number of rows.
///
/// # Errors
/// A file that exists, unless `overwrite`, or cannot be written.
pub fn write_devices(path: &Path, clients: &[Capacity], renumber: bool, overwrite: bool) -> Result<usize, ImportError> {
    let lines = clients.iter().enumerate().map(|(number, client)| {
        vec![id_of(number, &client.id, renumber), client.time_per_sample_ms.to_string(), String::new()]
    });
    rows(path, overwrite, &["client_id", "time_per_sample_ms", "memory_mib"], lines)
}

/// `bandwidth.csv`: `client_id,time_s,down_kbps,up_kbps`, one row for each client. Gives the number of rows.
///
/// # Errors
/// As [`write_devices`].
pub fn write_bandwidth(
    path: &Path,
    clients: &[Capacity],
    renumber: bool,
    overwrite: bool,
) -> Result<usize, ImportError> {
    let lines = clients.iter().enumerate().map(|(number, client)| {
        let rate = client.kbps.to_string();
        vec![id_of(number, &client.id, renumber), "0".into(), rate.clone(), rate]
    });
    rows(path, overwrite, &["client_id", "time_s", "down_kbps", "up_kbps"], lines)
}

/// `availability.csv`: `client_id,start_s,end_s`. Gives the number of rows.
///
/// # Errors
/// As [`write_devices`].
pub fn write_availability(
    path: &Path,
    devices: &[RecordedDevice],
    renumber: bool,
    overwrite: bool,
) -> Result<usize, ImportError> {
    let lines = devices.iter().enumerate().flat_map(|(number, device)| {
        let id = id_of(number, &device.id, renumber);
        device.windows.iter().map(move |(start, end)| vec![id.clone(), start.to_string(), end.to_string()])
    });
    rows(path, overwrite, &["client_id", "start_s", "end_s"], lines)
}

/// The `devices_file` of a trace: `client_id,trace_start_s,trace_end_s`, both empty for a device that is never ready. Gives the
/// number of rows.
///
/// # Errors
/// As [`write_devices`].
pub fn write_spans(
    path: &Path,
    devices: &[RecordedDevice],
    renumber: bool,
    overwrite: bool,
) -> Result<usize, ImportError> {
    let lines = devices.iter().enumerate().map(|(number, device)| {
        let (start, end) =
            device.span.map_or_else(Default::default, |(start, end)| (start.to_string(), end.to_string()));
        vec![id_of(number, &device.id, renumber), start, end]
    });
    rows(path, overwrite, &["client_id", "trace_start_s", "trace_end_s"], lines)
}
