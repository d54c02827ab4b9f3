use super::*;

/// Each kind, and what says whether all is cleaned up.
fn keeps_what_it_is_given(storage: &dyn Storage) {
    assert_eq!(storage.get("GET http://a/?b=c").unwrap(), None);
    storage.remove("GET http://a/?b=c").unwrap();
    storage.set("GET http://a/?b=c", "one").unwrap();
    storage.set("../../x\0", "two").unwrap();
    assert_eq!(storage.get("GET http://a/?b=c").unwrap().as_deref(), Some("one"));
    storage.set("GET http://a/?b=c", "").unwrap();
    assert_eq!(storage.get("GET http://a/?b=c").unwrap().as_deref(), Some(""));
    assert_eq!(storage.get("../../x\0").unwrap().as_deref(), Some("two"));
    storage.remove("GET http://a/?b=c").unwrap();
    assert_eq!(storage.get("GET http://a/?b=c").unwrap(), None);
    storage.remove("../../x\0").unwrap();
}

/// A folder that is gone with its test.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("tower-resume-{:016x}", fastrand::u64(..))))
    }

    fn names(&self) -> Vec<String> {
        let files = std::fs::read_dir(&self.0).unwrap();
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn memory_keeps_what_it_is_given() {
    let storage = MemoryStorage::new();
    keeps_what_it_is_given(&storage);
    keeps_what_it_is_given(&Arc::new(storage.clone()));
    storage.set("key", "secret").unwrap();
    assert!(!format!("{storage:?}").contains("secret"));
}

#[test]
fn files_keep_what_they_are_given() {
    let folder = Folder::new();
    let storage = FileStorage::new(folder.0.join("made/when/needed"));
    keeps_what_it_is_given(&storage);
    let storage = FileStorage::new(&folder.0);
    storage.set("a", "1").unwrap();
    storage.set("a", "2").unwrap();
    let names: Vec<_> = folder.names().into_iter().filter(|name| name != "made").collect();
    assert_eq!(names.len(), 1, "nothing is left lying about: {names:?}");
    assert_eq!(FileStorage::new(&folder.0).get("a").unwrap().as_deref(), Some("2"), "another run of the program");
}

#[cfg(unix)]
#[test]
fn only_the_user_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    FileStorage::new(&folder.0).set("a", "secret").unwrap();
    let mode = std::fs::metadata(folder.0.join(&folder.names()[0])).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_folder_that_cannot_be_is_an_error_and_not_a_loss() {
    let folder = Folder::new();
    std::fs::write(&folder.0, "a file").unwrap();
    let storage = FileStorage::new(folder.0.join("below"));
    assert!(storage.set("a", "1").is_err());
    std::fs::remove_file(&folder.0).unwrap();
}
