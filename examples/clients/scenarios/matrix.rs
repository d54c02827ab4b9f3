//! Which client passed which scenario, as a table, and as files that can be put together.

use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, fmt::Write as _, io, path::Path};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

/// Verdicts, by scenario and client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Matrix(BTreeMap<(String, String), Count>);

impl Matrix {
    pub(crate) fn add(&mut self, scenario: &str, client: &str, passed: bool) {
        let count = self.0.entry((scenario.to_owned(), client.to_owned())).or_default();
        if passed {
            count.passed += 1;
        } else {
            count.failed += 1;
        }
    }

    /// The table in Markdown, its rows in this order; what is not named in it comes behind.
    pub(crate) fn table(&self, order: &[&str]) -> String {
        let mut clients: Vec<&str> = self.0.keys().map(|(_, client)| &**client).collect();
        clients.sort_unstable();
        clients.dedup();
        let mut rows = order.to_vec();
        for (scenario, _) in self.0.keys() {
            if !rows.contains(&&**scenario) {
                rows.push(scenario);
            }
        }
        let mut table = format!("| scenario | {} |\n| --- |", clients.join(" | "));
        table.push_str(&" --- |".repeat(clients.len()));
        table.push('\n');
        for row in rows {
            let _ = write!(table, "| {row} |");
            for client in &clients {
                let count = self.0.get(&(row.to_owned(), (*client).to_owned())).copied().unwrap_or_default();
                let _ = match (count.passed, count.failed) {
                    (0, 0) => write!(table, " – |"),
                    (passed, 0) => write!(table, " {passed} passed |"),
                    (passed, failed) => write!(table, " {passed} passed, **{failed} failed** |"),
                };
            }
            table.push('\n');
        }
        table
    }

    /// Writes a file for this client: what it passed and failed in this process.
    pub(crate) fn save(&self, client: &str, dir: &Path) -> io::Result<()> {
        let of = self.0.iter().filter(|((_, of), _)| of == client);
        let scenarios: Map<String, Value> = of
            .map(|((scenario, _), count)| (scenario.clone(), json!({"passed": count.passed, "failed": count.failed})))
            .collect();
        let text = json!({"client": client, "scenarios": scenarios}).to_string();
        let plain = |char: char| if char.is_ascii_alphanumeric() || "-_.".contains(char) { char } else { '_' };
        let name: String = client.chars().map(plain).collect();
        std::fs::create_dir_all(dir)?;
        // Whole, or not there: a test may be stopped at any time.
        let part = dir.join(format!("{name}.{}.part", std::process::id()));
        std::fs::write(&part, text)?;
        std::fs::rename(part, dir.join(format!("{name}.{}.json", std::process::id())))
    }

    /// All files of a directory together.
    pub(crate) fn load(dir: &Path) -> io::Result<Self> {
        let mut matrix = Self::default();
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let bad = |error| io::Error::other(format!("{}: {error}", path.display()));
                matrix.merge(&serde_json::from_slice(&std::fs::read(&path)?).map_err(bad)?);
            }
        }
        Ok(matrix)
    }

    fn merge(&mut self, file: &Value) {
        let client = file.get("client").and_then(Value::as_str).unwrap_or("?");
        for (scenario, counts) in file.get("scenarios").and_then(Value::as_object).into_iter().flatten() {
            let number = |name: &str| counts.get(name).and_then(Value::as_u64).unwrap_or(0);
            let count = self.0.entry((scenario.clone(), client.to_owned())).or_default();
            count.passed += number("passed");
            count.failed += number("failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_several_clients_become_one_table() {
        let mut matrix = Matrix::default();
        for (scenario, client, passed) in
            [("plain", "js", true), ("plain", "js", true), ("busy", "js", false), ("plain", "py", true)]
        {
            matrix.add(scenario, client, passed);
        }
        let dir = std::env::temp_dir().join(format!("client-matrix-{}", std::process::id()));
        matrix.save("js", &dir).unwrap();
        matrix.save("py", &dir).unwrap();
        let loaded = Matrix::load(&dir).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(loaded, matrix);
        assert_eq!(
            loaded.table(&["plain", "reload"]),
            "| scenario | js | py |\n| --- | --- | --- |\n| plain | 2 passed | 1 passed |\n| reload | – | – |\n\
             | busy | 0 passed, **1 failed** | – |\n"
        );
    }
}
