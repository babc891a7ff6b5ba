-- The newest record of each Kafka partition, how old it is, and the object that holds it. One that
-- is much older than the others stands still, or nobody produces to it.
-- Wants records.envelope = "fields" and its column _kafka.
SELECT "_kafka".partition AS kafka_partition,
       max("_kafka".offset) AS last_offset,
       from_unixtime(max("_kafka".timestamp) / 1e3) AS newest,
       date_diff('second', from_unixtime(max("_kafka".timestamp) / 1e3), now()) AS age_seconds,
       max_by("$path", "_kafka".timestamp) AS object
FROM orders
WHERE dt >= date_format(current_date - INTERVAL '1' DAY, '%Y-%m-%d')
GROUP BY "_kafka".partition
ORDER BY kafka_partition
