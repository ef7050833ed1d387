//! Parquet files as the hub has them.

use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// A file of pictures, each the bytes of a PNG, and numbered labels, as the hub has them. A row without bytes has a null.
pub(crate) fn parquet_of_pictures(rows: &[(Option<Vec<u8>>, i64)], column: &str, names: &[&str]) -> Vec<u8> {
    let message = format!(
        "message schema {{ optional group {column} {{ optional binary bytes; optional binary path (UTF8); }} \
         optional int64 label; }}"
    );
    let features = serde_json::json!({ "info": { "features": {
        column: { "_type": "Image" }, "label": { "names": names, "_type": "ClassLabel" },
    } } });
    let mut writer = writer(&message, &features, Compression::SNAPPY);
    let mut group = writer.next_row_group().unwrap();
    let bytes: Vec<ByteArray> = rows.iter().filter_map(|(bytes, _)| bytes.clone().map(ByteArray::from)).collect();
    // 2: the record and its bytes are there; 1: the record alone.
    let levels: Vec<i16> = rows.iter().map(|(bytes, _)| if bytes.is_some() { 2 } else { 1 }).collect();
    let mut leaf = group.next_column().unwrap().unwrap();
    leaf.typed::<ByteArrayType>().write_batch(&bytes, Some(&levels), None).unwrap();
    leaf.close().unwrap();
    let mut leaf = group.next_column().unwrap().unwrap();
    leaf.typed::<ByteArrayType>().write_batch(&[], Some(&vec![1; rows.len()]), None).unwrap();
    leaf.close().unwrap();
    let labels: Vec<i64> = rows.iter().map(|(_, label)| *label).collect();
    let mut leaf = group.next_column().unwrap().unwrap();
    leaf.typed::<Int64Type>().write_batch(&labels, Some(&vec![1; rows.len()]), None).unwrap();
    leaf.close().unwrap();
    group.close().unwrap();
    writer.into_inner().unwrap()
}

/// A file with what the `datasets` library writes about its columns.
fn writer(message: &str, features: &serde_json::Value, compression: Compression) -> SerializedFileWriter<Vec<u8>> {
    let schema = Arc::new(parse_message_type(message).unwrap());
    let metadata = KeyValue::new("huggingface".into(), features.to_string());
    let properties =
        WriterProperties::builder().set_compression(compression).set_key_value_metadata(Some(vec![metadata])).build();
    SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap()
}

/// A file of texts and numbered labels, with what the `datasets` library writes about the labels' names.
pub(crate) fn parquet(rows: &[(String, i64)], names: &[&str], compression: Compression) -> Vec<u8> {
    let message = "message schema { required int64 idx; optional binary text (UTF8); optional int64 label; }";
    let features = serde_json::json!({ "info": { "features": {
        "text": { "dtype": "string", "_type": "Value" },
        "label": { "names": names, "_type": "ClassLabel" },
    } } });
    let mut writer = writer(message, &features, compression);
    let mut group = writer.next_row_group().unwrap();
    let present = vec![1i16; rows.len()];
    let numbers: Vec<i64> = (0..rows.len() as i64).collect();
    let texts: Vec<ByteArray> = rows.iter().map(|(text, _)| ByteArray::from(text.as_str())).collect();
    let labels: Vec<i64> = rows.iter().map(|(_, label)| *label).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&numbers, None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&texts, Some(&present), None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&labels, Some(&present), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.into_inner().unwrap()
}
