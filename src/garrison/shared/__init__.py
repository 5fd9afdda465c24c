"""The files that every node holds alike: group folders, custom rules, decoders, lists, the enrollment password."""
