-- A view with times that are times, and without nesting. dt and hour are passed on, so that a query
-- of the view that names them reads no more than they hold.
CREATE OR REPLACE VIEW orders_flat AS
SELECT id,
       from_unixtime(event_time_ms / 1e3) AS event_time,
       country,
       currency,
       amount,
       "user".id AS user_id,
       "user".device.system AS device_system,
       cardinality(items) AS items,
       items[1].sku AS first_item,
       dt,
       hour
FROM orders
