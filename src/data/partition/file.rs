//! A partition that was made elsewhere.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Partition, TrainingRows};
use crate::data::PartitionError;
use crate::data::files::{Problems, read_lines};
use crate::registry::Problem;
use crate::seed::Stream;

const HEADER: [&str; 2] = ["row", "client_id"];

/// A CSV file, relative to the scenario file, plain or `.gz`, with the header `row,client_id`: the client, from 0, of every
/// training row. Rows are counted from 0 in the order of the training files, as they are before any are held back for
/// validation; those that are held back go to nobody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct FileConfig(pub String);

impl Partition for FileConfig {
    fn problems(&self) -> Vec<Problem> {
        if self.0.trim().is_empty() {
            return vec![Problem::new("", "names no file").help("write a CSV file with the header row,client_id")];
        }
        Vec::new()
    }

    fn split(
        &self,
        rows: &TrainingRows<'_>,
        n_clients: usize,
        _rng: &mut Stream,
    ) -> Result<Vec<Vec<u32>>, PartitionError> {
        let mut problems = Problems::default();
        let client_of = read(&rows.base_dir.join(&self.0), rows.origins.n_read(), n_clients, &mut problems);
        problems.into_result().map_err(|error| PartitionError::BadFile(error.to_string()))?;
        let mut shards = vec![Vec::new(); n_clients];
        for (row, &number) in (0u32..).zip(rows.origins.numbers()) {
            shards[client_of[number as usize] as usize].push(row);
        }
        Ok(shards)
    }

    fn remedy(&self) -> &'static str {
        "give it rows in the partition file, or lower clients.total; rows that are held back for validation go to nobody"
    }

    fn file(&self) -> Option<&String> {
        Some(&self.0)
    }
}

/// The client of each of `n_rows` rows; what is wrong goes to `problems`.
fn read(path: &Path, n_rows: usize, n_clients: usize, problems: &mut Problems) -> Vec<u32> {
    /// Who a row belongs to, and the line that says so.
    struct Given {
        client: u32,
        line: u64,
    }
    let n_problems = problems.len();
    let mut given: Vec<Option<Given>> = Vec::new();
    given.resize_with(n_rows, || None);
    let mut lines = read_lines(path, problems).into_iter();
    match lines.next() {
        Some((_, header)) if fields(&header) == HEADER => {}
        Some((line, header)) => {
            problems.of_line(path, line, format!("the header must be `{}`, not `{header}`", HEADER.join(",")));
            return Vec::new();
        }
        None => return Vec::new(),
    }
    for (line, text) in lines {
        match numbers(&text, n_rows, n_clients) {
            Err(what) => problems.of_line(path, line, what),
            Ok((row, client)) => match &given[row] {
                Some(earlier) => {
                    let what = format!("row {row} already went to client {} in line {}", earlier.client, earlier.line);
                    problems.of_line(path, line, what);
                }
                None => given[row] = Some(Given { client, line }),
            },
        }
    }
    let missing = given.iter().filter(|given| given.is_none()).count();
    // Where lines are wrong, their rows are missing for that reason.
    if let Some(first) = given.iter().position(Option::is_none).filter(|_| problems.len() == n_problems) {
        let what = format!("{missing} of the {n_rows} training rows are not listed, the first of them row {first}");
        problems.of_file(path, what);
    }
    given.into_iter().flatten().map(|given| given.client).collect()
}

fn fields(line: &str) -> Vec<&str> {
    line.split(',').map(str::trim).collect()
}

/// The row and the client of a line, or what is wrong with it.
fn numbers(line: &str, n_rows: usize, n_clients: usize) -> Result<(usize, u32), String> {
    let [row, client] = fields(line)[..] else {
        return Err(format!("`{line}` is not a row and a client_id with a comma between them"));
    };
    let whole = |name: &str, text: &str| {
        text.parse::<u32>().map_err(|_| format!("{name} is `{text}`, not a whole number from 0 on"))
    };
    let (row, client) = (whole(HEADER[0], row)? as usize, whole(HEADER[1], client)?);
    if row >= n_rows {
        return Err(format!("row {row} is out of range: there are {n_rows} training rows, numbered from 0"));
    }
    if client as usize >= n_clients {
        let last = n_clients.saturating_sub(1);
        return Err(format!("client_id {client} is out of range: clients.total is {n_clients}, so the last is {last}"));
    }
    Ok((row, client))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::RowOrigins;
    use crate::data::partition::testing::rng;

    /// Deals the rows of these numbers, out of four, to two clients by a file of this content.
    fn deal(content: &str, numbers: &[u32]) -> Result<Vec<Vec<u32>>, String> {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("p.csv"), content).expect("written");
        let (labels, origins) = (vec![0; numbers.len()], RowOrigins::new(numbers.to_vec(), 4, None));
        let rows = TrainingRows { base_dir: dir.path(), ..TrainingRows::of(&labels, 1, &origins) };
        let dealt = FileConfig("p.csv".into()).deal(&rows, 2, &mut rng(1));
        dealt.map_err(|error| error.to_string().replace(&format!("{}/", dir.path().display()), ""))
    }

    #[test]
    fn rows_go_where_the_file_says() {
        assert_eq!(deal("row,client_id\n3,0\n0,1\n1,1\n2,0\n", &[0, 1, 2, 3]), Ok(vec![vec![2, 3], vec![0, 1]]));
        // Row 1 is held back: rows 0, 2 and 3 are left and now numbered 0 to 2.
        assert_eq!(deal("row, client_id\r\n0,1\r\n1,1\r\n2,0\r\n3,0\r\n", &[0, 2, 3]), Ok(vec![vec![1, 2], vec![0]]));
    }

    #[test]
    fn every_wrong_line_is_named() {
        let error = deal("row,client_id\n0,1\n4,0\n1,2\n0,0\n-1,0\n2;0\n\n", &[0, 1, 2, 3]).expect_err("wrong");
        assert_eq!(
            error.lines().collect::<Vec<_>>(),
            [
                "p.csv:3: row 4 is out of range: there are 4 training rows, numbered from 0",
                "p.csv:4: client_id 2 is out of range: clients.total is 2, so the last is 1",
                "p.csv:5: row 0 already went to client 1 in line 2",
                "p.csv:6: row is `-1`, not a whole number from 0 on",
                "p.csv:7: `2;0` is not a row and a client_id with a comma between them",
            ]
        );
        let error = deal("row,client_id\n0,0\n2,1\n", &[0, 1, 2, 3]).expect_err("rows 1 and 3");
        assert_eq!(error, "p.csv: 2 of the 4 training rows are not listed, the first of them row 1");
        let error = deal("client,row\n0,0\n", &[0, 1]).expect_err("another header");
        assert_eq!(error, "p.csv:1: the header must be `row,client_id`, not `client,row`");
        assert_eq!(deal("", &[0, 1]).expect_err("empty"), "p.csv: is empty");
    }

    #[test]
    fn a_client_without_rows_is_refused() {
        let error = deal("row,client_id\n0,0\n1,0\n2,0\n3,1\n", &[0, 1, 2]).expect_err("row 3 is held back");
        assert!(error.starts_with("client 1 of 2 got no training rows; give it rows in the partition file"), "{error}");
    }
}
