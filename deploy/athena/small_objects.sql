-- Records an object, by day. Athena takes a while for each object, so few records in many of them
-- make queries slow: raise rotation.max_age and rotation.max_bytes of the sink then.
SELECT dt,
       count(*) AS objects,
       sum(records) AS records,
       round(avg(records), 1) AS records_an_object,
       min(records) AS least,
       count_if(records < 1000) AS objects_below_1000
FROM (
  SELECT dt, "$path" AS object, count(*) AS records
  FROM orders
  WHERE dt >= date_format(current_date - INTERVAL '7' DAY, '%Y-%m-%d')
  GROUP BY dt, "$path"
)
GROUP BY dt
ORDER BY dt DESC
