/** The service that the provider offers and the consumer calls. */
public interface Greeter {
    /** The greeting, with the port of the provider that gave it. */
    String greet(String name);
}
