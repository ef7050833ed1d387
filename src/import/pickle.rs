//! A gate before the pickle decoder: walks the opcodes of protocols 0 to 5 without building anything.
//!
//! Objects are refused by name, so no class of another program is ever looked up; nesting is bounded, so no file can exhaust
//! the stack; containers are not used twice, so no file can describe more than it holds; a file that ends early is told with
//! its place.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use super::ImportError;

/// Data that nests deeper than this is no table of clients.
const DEPTH_MAX: u32 = 64;

/// Reads plain data from a pickle.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ImportError> {
    let gate =
        Gate { bytes, at: 0, stack: Vec::new(), marks: Vec::new(), memo: BTreeMap::new(), texts: Default::default() };
    gate.walk()?;
    serde_pickle::from_slice(bytes, serde_pickle::DeOptions::new().decode_strings())
        .map_err(|error| malformed(error.to_string()))
}

fn malformed(reason: impl Into<String>) -> ImportError {
    ImportError::Malformed { reason: reason.into() }
}

/// A value on the stack.
#[derive(Clone, Copy)]
struct Held {
    /// How deep it nests; 0 for what is no container.
    depth: u32,
    /// The memo has it.
    is_noted: bool,
}

struct Gate<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Held>,
    marks: Vec<usize>,
    /// Whether what is noted under a number is a container.
    memo: BTreeMap<u32, bool>,
    /// The last two texts: module and name of an object.
    texts: [String; 2],
}

impl<'a> Gate<'a> {
    fn walk(mut self) -> Result<(), ImportError> {
        loop {
            let offset = self.at;
            let opcode = self.take(1)?[0];
            match opcode {
                b'.' => return Ok(()),
                0x80 => drop(self.take(1)?),
                0x95 => drop(self.take(8)?),
                // Numbers and None.
                b'N' | 0x88 | 0x89 => self.push(0),
                b'I' | b'L' | b'F' => self.line().map(|_| self.push(0))?,
                b'J' => self.scalar(4)?,
                b'K' => self.scalar(1)?,
                b'M' => self.scalar(2)?,
                b'G' => self.scalar(8)?,
                0x8a => self.counted(1)?,
                0x8b => self.counted(4)?,
                // Texts and bytes.
                b'S' | b'V' => self.line().map(|_| self.push(0))?,
                b'U' | b'C' | 0x8c => self.counted(1)?,
                b'T' | b'B' | b'X' => self.counted(4)?,
                0x8d | 0x8e | 0x96 => self.counted(8)?,
                // Containers.
                b']' | b'}' | b')' | 0x8f => self.push(1),
                b'(' => self.marks.push(self.stack.len()),
                b'a' => self.fold(1)?,
                b's' => self.fold(2)?,
                b'e' | b'u' | 0x90 => {
                    let n = self.above_mark()?;
                    self.fold(n)?;
                }
                b't' | b'l' | b'd' | 0x91 => {
                    let n = self.above_mark()?;
                    self.wrap(n)?;
                }
                0x85..=0x87 => self.wrap(usize::from(opcode - 0x84))?,
                // The stack and the memo.
                b'0' => self.pop(1).map(drop)?,
                b'1' => {
                    let n = self.above_mark()?;
                    self.pop(n)?;
                }
                b'2' => return Err(malformed(format!("byte {offset} doubles a value, as no table of clients does"))),
                b'p' | b'q' | b'r' => {
                    let number = self.memo_number(opcode - b'p')?;
                    self.note(number)?;
                }
                0x94 => self.note(self.memo.len() as u32)?,
                b'g' | b'h' | b'j' => {
                    let width = if opcode == b'j' { 2 } else { opcode - b'g' };
                    let number = self.memo_number(width)?;
                    self.recall(number, offset)?;
                }
                // Objects, in the ways in which they are named.
                b'c' | b'i' => {
                    let (module, name) = (self.line()?, self.line()?);
                    let name = format!("{}.{}", String::from_utf8_lossy(module), String::from_utf8_lossy(name));
                    return Err(ImportError::Object { name, offset });
                }
                0x93 => return Err(ImportError::Object { name: self.texts.join("."), offset }),
                b'R' | 0x81 | 0x92 | b'o' | b'b' | b'P' | b'Q' | 0x82..=0x84 | 0x97 | 0x98 => {
                    return Err(ImportError::Object { name: "unnamed".into(), offset });
                }
                other => return Err(malformed(format!("byte {offset} is {other:#04x}, which is no pickle"))),
            }
        }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], ImportError> {
        let taken = self.at.checked_add(n).and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| malformed(format!("it ends at byte {}, in the middle", self.bytes.len())))?;
        self.at += n;
        Ok(taken)
    }

    fn line(&mut self) -> Result<&'a [u8], ImportError> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let line = self.take(length)?;
        self.take(1)?;
        Ok(line)
    }

    fn scalar(&mut self, n: usize) -> Result<(), ImportError> {
        self.take(n)?;
        self.push(0);
        Ok(())
    }

    /// A value whose length stands before it in `width` bytes.
    fn counted(&mut self, width: usize) -> Result<(), ImportError> {
        let mut length = [0; 8];
        length[..width].copy_from_slice(self.take(width)?);
        let text = self.take(usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX))?;
        // Long texts name no class.
        self.texts.swap(0, 1);
        self.texts[1] = String::from_utf8_lossy(&text[..text.len().min(200)]).into_owned();
        self.push(0);
        Ok(())
    }

    /// A number in the memo: written as a line of digits, in one byte, or in four.
    fn memo_number(&mut self, form: u8) -> Result<u32, ImportError> {
        let at = self.at;
        match form {
            0 => {
                let digits = std::str::from_utf8(self.line()?).ok().and_then(|digits| digits.parse().ok());
                digits.ok_or_else(|| malformed(format!("no number of the memo at byte {at}")))
            }
            1 => Ok(u32::from(self.take(1)?[0])),
            _ => {
                let mut number = [0; 4];
                number.copy_from_slice(self.take(4)?);
                Ok(u32::from_le_bytes(number))
            }
        }
    }

    /// Notes the top of the stack in the memo. Each number is given once and each value noted once, as `pickle` does: what
    /// was built around a number would change with it, past the bound of nesting.
    fn note(&mut self, number: u32) -> Result<(), ImportError> {
        let at = self.at;
        let top = self.stack.last_mut().ok_or_else(|| malformed(format!("a value is missing at byte {at}")))?;
        if top.is_noted || self.memo.insert(number, top.depth > 0).is_some() {
            return Err(malformed(format!("it notes a value or a number twice at byte {at}")));
        }
        top.is_noted = true;
        Ok(())
    }

    /// Takes a value from the memo once more. Files of clients do so with texts alone; of containers in containers a short
    /// file can make more than any memory holds.
    fn recall(&mut self, number: u32, offset: usize) -> Result<(), ImportError> {
        match self.memo.get(&number) {
            Some(false) => self.stack.push(Held { depth: 0, is_noted: true }),
            Some(true) => {
                return Err(malformed(format!("byte {offset} uses a container again, as no table of clients does")));
            }
            None => return Err(malformed(format!("byte {offset} uses a value that is not there"))),
        }
        Ok(())
    }

    fn push(&mut self, depth: u32) {
        self.stack.push(Held { depth, is_noted: false });
    }

    fn above_mark(&mut self) -> Result<usize, ImportError> {
        let mark = self.marks.pop().ok_or_else(|| malformed(format!("no group ends at byte {}", self.at)))?;
        self.stack.len().checked_sub(mark).ok_or_else(|| malformed(format!("a group is broken at byte {}", self.at)))
    }

    /// Takes values off the stack; the depth of the deepest.
    fn pop(&mut self, n: usize) -> Result<u32, ImportError> {
        let left = self.stack.len().checked_sub(n);
        let left = left.ok_or_else(|| malformed(format!("a value is missing at byte {}", self.at)))?;
        Ok(self.stack.drain(left..).map(|value| value.depth).max().unwrap_or(0))
    }

    /// Puts the upper values into the container below them.
    fn fold(&mut self, n: usize) -> Result<(), ImportError> {
        let depth = self.pop(n)? + 1;
        self.check(depth)?;
        let outer =
            self.stack.last_mut().ok_or_else(|| malformed(format!("a value is missing at byte {}", self.at)))?;
        outer.depth = outer.depth.max(depth);
        Ok(())
    }

    /// Makes one container of the upper values.
    fn wrap(&mut self, n: usize) -> Result<(), ImportError> {
        let depth = self.pop(n)? + 1;
        self.check(depth)?;
        self.push(depth);
        Ok(())
    }

    fn check(&self, depth: u32) -> Result<(), ImportError> {
        match depth > DEPTH_MAX {
            true => Err(malformed(format!("it nests more than {DEPTH_MAX} deep at byte {}", self.at))),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn fails(bytes: &[u8]) -> String {
        read::<BTreeMap<String, f64>>(bytes).unwrap_err().to_string()
    }

    #[test]
    fn objects_are_refused_by_name() {
        // pickle.dumps of an object whose __reduce__ gives (os.system, ("true",)), protocols 0 and 4.
        assert!(fails(b"cposix\nsystem\np0\n(Vtrue\np1\ntp2\nRp3\n.").contains("`posix.system` (byte 0)"));
        let four =
            b"\x80\x04\x95\x1f\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x04true\x94\x85\x94R\x94.";
        assert!(fails(four).contains("`posix.system` (byte 28)"), "{}", fails(four));
        // A numpy scalar, as pickle.dumps(np.float64(1.0), 2) begins.
        assert!(fails(b"\x80\x02cnumpy.core.multiarray\nscalar\nq\0.").contains("numpy.core.multiarray.scalar"));
        for opcode in [b'R', 0x81, b'o', b'b', b'Q', 0x92, 0x97] {
            assert!(fails(&[0x80, 4, opcode, b'.']).contains("object"), "{opcode}");
        }
    }

    #[test]
    fn a_file_that_ends_early_or_is_none_is_told() {
        let whole = b"\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94\x8c\x01a\x94G?\xf0\0\0\0\0\0\0s.";
        assert_eq!(read::<BTreeMap<String, f64>>(whole), Ok(BTreeMap::from([("a".to_string(), 1.0)])));
        for length in 0..whole.len() {
            let message = fails(&whole[..length]);
            assert!(message.contains(&format!("it ends at byte {length}, in the middle")), "{message}");
        }
        assert!(fails(b"{\"a\": 1}").contains("which is no pickle"));
        assert!(fails(b"a.").contains("a value is missing at byte 1"));
        assert!(fails(b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff").contains("it ends at byte 9"));
    }

    #[test]
    fn texts_are_recalled_from_the_memo() {
        // As pickle.dumps([k, k]) writes a text k, with each protocol's ways of noting and recalling it.
        let texts = |bytes: &[u8]| read::<Vec<String>>(bytes);
        let twice = Ok(vec!["k".to_string(); 2]);
        assert_eq!(texts(b"(lp0\nVk\np1\nag1\na."), twice);
        assert_eq!(texts(b"\x80\x02]q\0(X\x01\0\0\0kq\x01h\x01e."), twice);
        assert_eq!(texts(b"\x80\x04]\x94(\x8c\x01k\x94h\x01e."), twice);
        assert_eq!(texts(b"\x80\x02]r\0\0\x01\0(X\x01\0\0\0kr\x01\0\x01\0j\x01\0\x01\0e."), twice);
    }

    #[test]
    fn the_memo_is_no_way_around_the_bound_of_nesting() {
        // l[i + 1] = [l[i]], by noting each list and fetching the one before it.
        let mut deep = b"]r\0\0\0\0".to_vec();
        for i in 1..100_000u32 {
            deep.extend([&b"]r"[..], &i.to_le_bytes(), b"j", &(i - 1).to_le_bytes(), b"a0"].concat());
        }
        assert!(fails(&deep).contains("byte 12 uses a container again"), "{}", fails(&deep));
        // l[i + 1] = [l[i], l[i]]: 2^40 lists in 40 steps.
        let mut wide = b"]q\0".to_vec();
        for i in 1..40u8 {
            wide.extend([b'(', b'h', i - 1, b'h', i - 1, b'l', b'q', i]);
        }
        assert!(fails(&wide).contains("byte 4 uses a container again"), "{}", fails(&wide));
        // The same without the memo.
        assert!(fails(b"]2a2a2a.").contains("byte 1 doubles a value"));
        // A list in a list, and the inner number given to another one.
        assert!(fails(b"]q\0]q\x01a]q\x01.").contains("twice at byte 10"), "{}", fails(b"]q\0]q\x01a]q\x01."));
        assert!(fails(b"]q\0q\x01.").contains("twice at byte 5"));
        assert!(fails(b"q\0.").contains("a value is missing at byte 2"));
        assert!(fails(b"h\x07.").contains("byte 0 uses a value that is not there"));
        assert!(fails(b"]pzero\n.").contains("no number of the memo at byte 2"));
    }

    #[test]
    fn endless_nesting_does_not_reach_the_stack() {
        let mut deep = vec![b']'; 1_000_000];
        deep.extend(vec![b'a'; 999_999]);
        deep.push(b'.');
        assert!(fails(&deep).contains("nests more than 64 deep"));
        let tuples = [&b"N"[..], &[0x85; 1_000_000], b"."].concat();
        assert!(fails(&tuples).contains("nests more than 64 deep"));
    }
}
