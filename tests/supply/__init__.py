"""What vila2 is made of: the packages that come with it and their licenses."""
