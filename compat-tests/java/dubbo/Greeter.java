/** The service that the provider offers and the consumer calls. */
public interface Greeter {
    /** The port of the provider that answers. */
    String greet(String name);
}
