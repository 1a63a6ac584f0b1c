package org.torte.management.store;

import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.torte.management.Problem;

/**
 * The SQLite database of the service, one connection used by one thread at a time. Every change is on the disk when the
 * call returns. Its schema has a version; a database of a newer Torte is refused.
 */
public final class Database implements AutoCloseable {
    private static final int VERSION = 1;
    private static final String[] SCHEMA = {
        """
        CREATE TABLE task (
            id INTEGER PRIMARY KEY, kind TEXT NOT NULL, target TEXT NOT NULL, target_name TEXT NOT NULL,
            state TEXT NOT NULL, progress INTEGER NOT NULL, created INTEGER NOT NULL, ended INTEGER,
            owner TEXT NOT NULL, log TEXT NOT NULL, problem TEXT)
        """, "CREATE INDEX task_by_state ON task (state)", """
        CREATE TABLE event (
            id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, type TEXT NOT NULL,
            subject TEXT NOT NULL, data TEXT NOT NULL)
        """, """
        CREATE TABLE answer (
            key TEXT PRIMARY KEY, time INTEGER NOT NULL, request TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL)
        """, "PRAGMA user_version = " + VERSION
    };

    private final ReentrantLock lock = new ReentrantLock();
    private final Path file;
    private final Connection connection;

    private Database(Path file, Connection connection) {
        this.file = file;
        this.connection = connection;
    }

    /** Reads one row. */
    @FunctionalInterface
    public interface Row<T> {
        /** Makes a value of the row that the result set stands on. */
        T read(ResultSet row) throws SQLException;
    }

    /**
     * Opens the database, or makes it.
     *
     * @throws Problem UNAVAILABLE when the file cannot be used
     */
    public static Database open(Path file) {
        try {
            Connection connection = DriverManager.getConnection("jdbc:sqlite:" + file);
            try {
                Database database = new Database(file, connection);
                database.prepare();
                return database;
            } catch (SQLException | RuntimeException e) {
                connection.close();
                throw e;
            }
        } catch (SQLException e) {
            throw new Problem(
                    Problem.Kind.UNAVAILABLE,
                    "the database " + file + " cannot be opened (" + e.getMessage() + ")",
                    "make room and give permission to write, or move the file away to begin a new one",
                    e);
        }
    }

    private void prepare() throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute("PRAGMA journal_mode = WAL");
            statement.execute("PRAGMA synchronous = FULL");
            int version;
            try (ResultSet row = statement.executeQuery("PRAGMA user_version")) {
                version = row.getInt(1);
            }
            if (version > VERSION) {
                throw new Problem(
                        Problem.Kind.UNAVAILABLE,
                        "the database " + file + " is of a newer Torte (version " + version + ", not " + VERSION + ")",
                        "start that Torte, or move the file away to begin a new one");
            }
            if (version == 0) {
                connection.setAutoCommit(false);
                for (String line : SCHEMA) {
                    statement.execute(line);
                }
                connection.commit();
                connection.setAutoCommit(true);
            }
        }
    }

    /** Changes rows, and says how many. */
    public int update(String sql, @Nullable Object... values) {
        return with(sql, values, PreparedStatement::executeUpdate);
    }

    /** Reads rows. */
    public <T> List<T> query(Row<T> row, String sql, @Nullable Object... values) {
        return with(sql, values, statement -> {
            List<T> all = new ArrayList<>();
            try (ResultSet rows = statement.executeQuery()) {
                while (rows.next()) {
                    all.add(row.read(rows));
                }
            }
            return all;
        });
    }

    @FunctionalInterface
    private interface Work<T> {
        T run(PreparedStatement statement) throws SQLException;
    }

    private <T> T with(String sql, @Nullable Object[] values, Work<T> work) {
        lock.lock();
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int i = 0; i < values.length; i++) {
                statement.setObject(i + 1, values[i]);
            }
            return work.run(statement);
        } catch (SQLException e) {
            throw new Problem(
                    Problem.Kind.UNAVAILABLE,
                    "the database " + file + " cannot be used (" + e.getMessage() + ")",
                    "make room and give permission to write where it lies",
                    e);
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void close() {
        lock.lock();
        try {
            connection.close();
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        } finally {
            lock.unlock();
        }
    }
}
