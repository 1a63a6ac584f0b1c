-- The row sqlite of bench/translator: inserts, with an index, updates, and selects with joins, groups and text.
create table item (id integer primary key, name text, place integer, price real);
begin;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 30000)
insert into item select i, 'item ' || (i * 7919 % 30011), i * 31 % 997, i * 1.25 from n;
commit;
create index by_name on item (name);
create index by_place on item (place, price);
create table place (id integer primary key, name text unique);
insert into place select distinct place, printf('place %04d', place) from item;
update item set price = price * 2 where place % 3 = 0;
delete from item where id % 11 = 0;
select place.name, count(*), round(sum(item.price), 2) from item join place on place.id = item.place group by place.id order by 3 desc limit 20;
select count(*), max(name) from item where name like '%77%';
select count(*) from item a join item b on a.name = 'item ' || b.id;
select group_concat(name, ',') from (select upper(substr(name, 6)) name from item where price between 1000 and 1100 order by name);
