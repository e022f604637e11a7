package adapter

var busCredentialEnv = []string{"NATS_PASSWORD", "NATS_USER", "NATS_URL"}

func start(argv []string) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = without(os.Environ(), busCredentialEnv)
	return cmd.Start()
}
