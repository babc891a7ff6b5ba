-- Records and objects of each Kafka partition, of today and yesterday. One that has most of them
-- tells of keys that are spread badly.
-- The Kafka partition is read from the object's name, so that it works without the envelope too.
SELECT CAST(regexp_extract("$path", '-(\d+)-\d{20}\.json', 1) AS integer) AS kafka_partition,
       count(*) AS records,
       count(DISTINCT "$path") AS objects
FROM orders
WHERE dt >= date_format(current_date - INTERVAL '1' DAY, '%Y-%m-%d')
GROUP BY 1
ORDER BY records DESC
