-- By Kafka partition: records that are there twice, which ought to be none, and offsets that are
-- not there between the first and the last.
-- Offsets without a record are normal where producers use transactions, where the topic is
-- compacted and where records were no JSON objects (those are with the dead letters):
-- `kafka-s3-sink audit` tells such gaps from losses.
-- It reads the whole table, but for records without a usable timestamp: restrict dt where that
-- costs too much, and count the offsets at the edges as not known.
-- Wants records.envelope = "fields" and its column _kafka.
SELECT "_kafka".partition AS kafka_partition,
       min("_kafka".offset) AS first_offset,
       max("_kafka".offset) AS last_offset,
       count(*) AS records,
       count(*) - count(DISTINCT "_kafka".offset) AS duplicates,
       max("_kafka".offset) - min("_kafka".offset) + 1 - count(DISTINCT "_kafka".offset) AS gaps
FROM orders
GROUP BY "_kafka".partition
ORDER BY kafka_partition
