//! A CSV table told by statistics: count, mean, median and ninetieth percentile of each column of numbers.

use crate::numbers::round;

/// One line per numeric column: `name: count=… mean=… p50=… p90=…`. No cell of the table itself.
pub(crate) fn statistics(csv: &str) -> String {
    let mut rows = csv.lines().filter(|line| !line.trim().is_empty()).map(cells);
    let header = rows.next().unwrap_or_default();
    let rows: Vec<Vec<String>> = rows.collect();
    let lines = header.iter().enumerate().filter_map(|(column, name)| {
        let mut values: Vec<f64> = rows
            .iter()
            .filter_map(|row| row.get(column))
            .filter_map(|cell| cell.parse().ok())
            .filter(|value: &f64| value.is_finite())
            .collect();
        values.sort_by(f64::total_cmp);
        let count = values.len();
        let mean = round(values.iter().sum::<f64>() / count as f64);
        let (p50, p90) = (percentile(&values, 0.5)?, percentile(&values, 0.9)?);
        Some(format!("{name}: count={count} mean={mean} p50={p50} p90={p90}"))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The value at `q` of sorted values; `None` of none.
fn percentile(sorted: &[f64], q: f64) -> Option<f64> {
    let at = (sorted.len() as f64 * q) as usize;
    sorted.get(at.min(sorted.len().checked_sub(1)?)).copied()
}

/// The cells of a row. Quotes keep a comma inside a cell and are themselves dropped.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match (c, cells.last_mut()) {
            ('"', _) => quoted = !quoted,
            (',', _) if !quoted => cells.push(String::new()),
            (c, Some(cell)) => cell.push(c),
            (_, None) => {}
        }
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_statistics_of_number_columns_are_kept() {
        let csv = "name,price,\"a, b\"\nalice,10,1\nbob,20,\ncarol,60,x\n";
        assert_eq!(statistics(csv), "price: count=3 mean=30 p50=20 p90=60\na, b: count=1 mean=1 p50=1 p90=1");
    }

    #[test]
    fn an_empty_table_says_nothing() {
        assert_eq!(statistics(""), "");
        assert_eq!(statistics("a,b"), "");
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank_from_above() {
        let values: Vec<f64> = (1..=10).map(f64::from).collect();
        assert_eq!(percentile(&values, 0.5), Some(6.0));
        assert_eq!(percentile(&values, 0.9), Some(10.0));
        assert_eq!(percentile(&[], 0.5), None);
    }
}
