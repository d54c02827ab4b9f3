//! For longer than the program runs.

use super::Storage;
use sha2::{Digest as _, Sha256};
use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

/// Longest text that is read. One of the client's own has a few hundred bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// Keeps each place in a file of its own in a folder, which is made when it is needed. On Unix only the user can read
/// them.
///
/// A file is replaced as a whole: a program that is killed leaves the place before, or the one after. It is written by
/// the thread that reads the stream.
#[derive(Clone, Debug)]
pub struct FileStorage {
    folder: PathBuf,
}

impl FileStorage {
    /// Keeps places in this folder.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// A key may hold what a file's name cannot.
    fn path(&self, key: &str) -> PathBuf {
        let mut name = String::from("stream-");
        for byte in Sha256::digest(key.as_bytes()).iter().take(16) {
            let _ = write!(name, "{byte:02x}");
        }
        self.folder.join(name + ".json")
    }
}

impl Storage for FileStorage {
    fn get(&self, key: &str) -> io::Result<Option<String>> {
        let file = match File::open(self.path(key)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = String::new();
        file.take(MAX_BYTES).read_to_string(&mut text)?;
        Ok(Some(text))
    }

    fn set(&self, key: &str, value: &str) -> io::Result<()> {
        let path = self.path(key);
        // A name of its own: two streams may be kept under one key, by mistake, and neither file should be a mix.
        let new = path.with_extension(format!("{:016x}", fastrand::u64(..)));
        let written = match create(&new) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&self.folder).and_then(|()| create(&new))
            }
            created => created,
        }
        .and_then(|mut file| file.write_all(value.as_bytes()))
        .and_then(|()| fs::rename(&new, &path));
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        written
    }

    fn remove(&self, key: &str) -> io::Result<()> {
        match fs::remove_file(self.path(key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
