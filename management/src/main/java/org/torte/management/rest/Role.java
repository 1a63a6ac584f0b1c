package org.torte.management.rest;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.javalin.security.RouteRole;

/** What a token allows; each includes those before it. */
public enum Role implements RouteRole {
    /** Looks at everything. */
    @JsonProperty("viewer")
    VIEWER,
    /** Starts, stops and uses what is there. */
    @JsonProperty("operator")
    OPERATOR,
    /** Makes, changes and removes. */
    @JsonProperty("administrator")
    ADMINISTRATOR;

    /** Whether it may do what needs another. */
    boolean includes(Role other) {
        return compareTo(other) >= 0;
    }
}
