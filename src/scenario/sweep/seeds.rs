//! Seeds as they are written in one word.

use super::section::CELLS_MAX;

/// Seeds as the command line writes them: `42..44` (both included), `1,5,9`, or one.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_seeds(text: &str) -> Result<Vec<u64>, String> {
    let number = |part: &str| part.trim().parse::<u64>().map_err(|_| format!("`{}` is not a seed", part.trim()));
    let mut seeds = Vec::new();
    for part in text.split(',') {
        match part.split_once("..") {
            Some((first, last)) => {
                let (first, last) = (number(first)?, number(last.trim_start_matches('='))?);
                if last < first {
                    return Err(format!("`{}` ends before it starts", part.trim()));
                }
                if last - first >= CELLS_MAX as u64 {
                    return Err(format!("`{}` are more than {CELLS_MAX} seeds", part.trim()));
                }
                seeds.extend(first..=last);
            }
            None => seeds.push(number(part)?),
        }
    }
    let twice = (1..seeds.len()).find(|&i| seeds[..i].contains(&seeds[i]));
    twice.map_or(Ok(()), |i| Err(format!("{} is given twice, which would be the same run", seeds[i])))?;
    Ok(seeds)
}
