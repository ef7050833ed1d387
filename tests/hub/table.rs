//! Parquet files as the hub has them.

use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// A file of texts and numbered labels, with what the `datasets` library writes about the labels' names.
pub(crate) fn parquet(rows: &[(String, i64)], names: &[&str], compression: Compression) -> Vec<u8> {
    let message = "message schema { required int64 idx; optional binary text (UTF8); optional int64 label; }";
    let schema = Arc::new(parse_message_type(message).unwrap());
    let features = serde_json::json!({ "info": { "features": {
        "text": { "dtype": "string", "_type": "Value" },
        "label": { "names": names, "_type": "ClassLabel" },
    } } });
    let metadata = KeyValue::new("huggingface".into(), features.to_string());
    let properties =
        WriterProperties::builder().set_compression(compression).set_key_value_metadata(Some(vec![metadata])).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
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
